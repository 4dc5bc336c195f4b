"""Who may publish: one writer at a time, known by a token that it keeps beside its master.

Whoever takes a store over writes its own token and a higher epoch into the log. A writer that finds another's
token in HEAD has been replaced, for instance because its node was cut off, and publishes no more.
"""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stockpipeline.store.errors import MasterUnusable
from stockpipeline.store.files import replace_file


class Claim(msgspec.Struct, frozen=True):
    """An epoch and its owner's token; `confirmed` once the log is known to have had it."""

    epoch: int
    owner: str
    confirmed: bool


class OwnershipFile:
    """The file `MASTER.owner`: by which claim this master may be published, for each store."""

    def __init__(self, master: Path, store_url: str) -> None:
        self._path = master.with_name(f"{master.name}.owner")
        self._store_url = store_url

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other publishers of the same master waiting."""
        with self._path.with_name(f"{self._path.name}.lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self) -> Claim | None:
        """Return the claim, None if this master was never published there.

        Raises:
            MasterUnusable: the file is damaged.
        """
        return self._read().get(self._store_url)

    def new_claim(self, epoch: int) -> Claim:
        """Remember, durably, that a claim is about to be made, and return it."""
        claim = Claim(epoch, secrets.token_hex(16), confirmed=False)
        self._write(claim)
        return claim

    def confirm(self, claim: Claim) -> None:
        """Remember that the log has the claim."""
        if not claim.confirmed:
            self._write(msgspec.structs.replace(claim, confirmed=True))

    def _write(self, claim: Claim) -> None:
        replace_file(self._path, msgspec.json.encode({**self._read(), self._store_url: claim}))

    def _read(self) -> dict[str, Claim]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Claim])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise MasterUnusable(
                f"{self._path}: {error}; if this is the one writer, remove the file and publish "
                "with --take-over"
            ) from error
