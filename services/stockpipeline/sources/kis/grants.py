"""Access tokens and approval keys: asked for once, shared, and renewed before they expire.

KIS answers one request for a token a minute and refuses the others, for everybody who uses the appkey; asking
again within six hours gives the same token. So what was granted is kept in a store that replicas and restarts
share, and whoever wants to ask takes the turn of that minute there first.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import structlog

from stockpipeline.runtime.redaction import conceal
from stockpipeline.sources.kis.meanings import KisError, Meaning

_RENEW_SECONDS = 3600.0
"""Before the expiry: enough for an hour in which KIS does not answer."""
_WAIT_SECONDS = 1.0
TURN_SECONDS = 61.0
_log = structlog.get_logger()


class GrantKind(StrEnum):
    """What KIS grants to an appkey."""

    TOKEN = "token"  # noqa: S105 - a name
    APPROVAL = "approval"


@dataclass(frozen=True)
class Grant:
    """A token or approval key; times in epoch seconds."""

    value: str = field(repr=False)
    made_at: float
    expires_at: float

    def __post_init__(self) -> None:
        """No log has it, wherever it may turn up."""
        conceal(self.value)


class NotAsked(Exception):
    """The request surely never reached KIS, so the minute's turn was not used."""


class GrantStore(Protocol):
    """Keeps the grants of one appkey for all who use it. Nothing raises: what cannot be shared is kept
    here."""

    async def load(self, kind: GrantKind) -> Grant | None:
        """Return what was saved last, if it is still there."""

    async def save(self, kind: GrantKind, grant: Grant) -> None:
        """Keep a grant until it expires."""

    async def take_turn(self, kind: GrantKind) -> bool:
        """Return True for one caller in TURN_SECONDS."""

    async def give_back_turn(self, kind: GrantKind) -> None:
        """Let the next caller have the turn that was not used."""


class LocalGrants:
    """A store for one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._grants: dict[GrantKind, Grant] = {}
        self._turns: dict[GrantKind, float] = {}

    async def load(self, kind: GrantKind) -> Grant | None:
        """Return what was saved last."""
        return self._grants.get(kind)

    async def save(self, kind: GrantKind, grant: Grant) -> None:
        """Keep a grant."""
        self._grants[kind] = grant

    async def take_turn(self, kind: GrantKind) -> bool:
        """Return True once in TURN_SECONDS."""
        now = self._clock()
        if now < self._turns.get(kind, now):
            return False
        self._turns[kind] = now + TURN_SECONDS
        return True

    async def give_back_turn(self, kind: GrantKind) -> None:
        """Forget the last turn."""
        self._turns.pop(kind, None)


class Grants:
    """The valid grants of one appkey; ``ask`` gets a new one from KIS."""

    def __init__(
        self,
        store: GrantStore,
        ask: Callable[[GrantKind], Awaitable[Grant]],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._ask = ask
        self._clock = clock
        self._sleep = sleep
        self._have: dict[GrantKind, Grant] = {}
        self._refused: set[str] = set()
        self._locks = {kind: asyncio.Lock() for kind in GrantKind}

    async def get(self, kind: GrantKind) -> Grant:
        """Return a valid grant, waiting for the next turn to ask if there is none.

        Raises:
            KisError: KIS did not grant it.
            NotAsked: KIS cannot be reached.
        """
        async with self._locks[kind]:
            while True:
                grant = self._have.get(kind)
                if grant is None or not self._fresh(grant):
                    grant = self._better(grant, await self._store.load(kind))
                if grant is not None and self._fresh(grant):
                    self._have[kind] = grant
                    return grant
                # Whoever is cancelled in between would leave a used turn, and a grant that nobody has.
                if (asked := await asyncio.shield(self._in_turn(kind, grant))) is not None:
                    return asked
                if grant is not None:
                    return grant
                await self._sleep(_WAIT_SECONDS)

    def refuse(self, kind: GrantKind, grant: Grant) -> None:
        """Note that KIS no longer takes this grant, whatever its expiry says."""
        self._refused.add(grant.value)
        if self._have.get(kind) == grant:
            del self._have[kind]

    async def _in_turn(self, kind: GrantKind, present: Grant | None) -> Grant | None:
        return await self._asked(kind, present) if await self._store.take_turn(kind) else None

    async def _asked(self, kind: GrantKind, present: Grant | None) -> Grant | None:
        """Ask KIS; return None where the answer is to wait, or where the present one still serves."""
        try:
            grant = await self._ask(kind)
        except NotAsked:
            await self._store.give_back_turn(kind)
            if present is None:
                raise
            return None
        except KisError as error:
            if error.meaning is Meaning.TOKEN_TOO_SOON:
                return None
            if present is None:
                raise
            _log.warning("a grant of KIS could not be renewed", kind=kind.value, why=str(error))
            return None
        self._refused.discard(grant.value)
        self._have[kind] = grant
        await self._store.save(kind, grant)
        return grant

    def _better(self, mine: Grant | None, stored: Grant | None) -> Grant | None:
        valid = [grant for grant in (mine, stored) if grant is not None and self._valid(grant)]
        return max(valid, key=lambda grant: grant.expires_at, default=None)

    def _valid(self, grant: Grant) -> bool:
        return grant.value not in self._refused and self._clock() < grant.expires_at

    def _fresh(self, grant: Grant) -> bool:
        return self._valid(grant) and self._clock() < grant.expires_at - _RENEW_SECONDS
