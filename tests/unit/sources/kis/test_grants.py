"""Grants: asked for once a minute at most, shared, and renewed in time."""

from __future__ import annotations

import asyncio

import pytest

from stockpipeline.sources.kis.grants import Grant, GrantKind, Grants, LocalGrants, NotAsked
from stockpipeline.sources.kis.meanings import KisError, Meaning

DAY = 86_400.0
TOKEN = GrantKind.TOKEN


class World:
    """A clock that sleeping moves, and a KIS that counts how often it is asked."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.asked: list[float] = []
        self.answers: list[Exception] = []
        self.store = LocalGrants(lambda: self.now)

    def grants(self) -> Grants:
        return Grants(self.store, self.ask, lambda: self.now, self.sleep)

    async def ask(self, kind: GrantKind) -> Grant:
        self.asked.append(self.now)
        if self.answers:
            raise self.answers.pop(0)
        return Grant(f"{kind}-{len(self.asked)}", self.now, self.now + DAY)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_replicas_and_restarts_share_what_one_of_them_asked_for() -> None:
    world = World()

    async def many() -> set[str]:
        all_grants = [world.grants() for _ in range(5)]
        given = await asyncio.gather(*(grants.get(TOKEN) for grants in all_grants for _ in range(3)))
        return {grant.value for grant in given}

    assert asyncio.run(many()) == {"token-1"}
    assert len(world.asked) == 1


def test_it_is_renewed_before_it_expires() -> None:
    world = World()
    grants = world.grants()
    first = asyncio.run(grants.get(TOKEN))
    world.now += DAY - 3700
    assert asyncio.run(grants.get(TOKEN)) is first
    world.now += 200
    assert asyncio.run(grants.get(TOKEN)).value == "token-2"


def test_a_failed_renewal_leaves_the_one_that_is_still_valid() -> None:
    world = World()
    grants = world.grants()
    first = asyncio.run(grants.get(TOKEN))
    world.now += DAY - 100
    world.answers = [KisError(Meaning.BROKEN, "HTTP 500")]
    assert asyncio.run(grants.get(TOKEN)) is first
    assert asyncio.run(grants.get(TOKEN)) is first
    assert len(world.asked) == 2, "the minute's turn was used"


def test_one_that_kis_no_longer_takes_is_replaced_after_the_minute() -> None:
    world = World()
    grants = world.grants()
    first = asyncio.run(grants.get(TOKEN))
    grants.refuse(TOKEN, first)
    assert asyncio.run(grants.get(TOKEN)).value == "token-2"
    assert world.asked[1] - world.asked[0] >= 60


def test_too_soon_means_waiting() -> None:
    world = World()
    world.answers = [KisError(Meaning.TOKEN_TOO_SOON, "EGW00133")]
    assert asyncio.run(world.grants().get(TOKEN)).value == "token-2"
    assert world.asked[1] - world.asked[0] >= 60


def test_a_request_that_never_arrived_does_not_cost_the_turn() -> None:
    world = World()
    grants = world.grants()
    world.answers = [NotAsked("cannot connect")]
    with pytest.raises(NotAsked):
        asyncio.run(grants.get(TOKEN))
    assert asyncio.run(grants.get(TOKEN)).value == "token-2"
    assert world.asked[1] == world.asked[0]


def test_no_secret_in_its_text() -> None:
    assert "s3cret" not in repr(Grant("s3cret", 0, 1))


def test_whoever_is_cancelled_while_asking_loses_nothing_for_the_next() -> None:
    world = World()

    async def cancelled_then_again() -> Grant:
        asking, answer = asyncio.Event(), asyncio.Event()

        async def ask(kind: GrantKind) -> Grant:
            asking.set()
            await answer.wait()
            return await world.ask(kind)

        task = asyncio.create_task(Grants(world.store, ask, lambda: world.now, world.sleep).get(TOKEN))
        await asking.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer.set()
        while not world.asked:
            await asyncio.sleep(0)
        return await world.grants().get(TOKEN)

    assert asyncio.run(cancelled_then_again()).value == "token-1"
    assert len(world.asked) == 1
