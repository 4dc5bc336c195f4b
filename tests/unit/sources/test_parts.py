"""Small parts of the sources: rate limit, back-off, breaker, rendezvous hashing, kinds of session."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MarketSession
from stockpipeline.sources.backoff import Backoff
from stockpipeline.sources.breaker import Breaker, BreakerState
from stockpipeline.sources.rate_limit import RateLimit
from stockpipeline.sources.rendezvous import ranked, spread
from stockpipeline.sources.session_kind import SessionKind

NAMES = st.lists(st.text("ABCDEFG", min_size=1, max_size=4), unique=True, max_size=30)
MEMBERS = st.lists(st.text("xyz", min_size=1, max_size=3), unique=True, min_size=1, max_size=6)


@given(NAMES, MEMBERS, st.text("w", min_size=1, max_size=1))
def test_a_member_that_comes_takes_only_what_it_now_owns(
    names: list[str], members: list[str], new: str
) -> None:
    for name in names:
        before, after = ranked(name, members), ranked(name, [*members, new])
        assert [member for member in after if member != new] == before
        assert after[0] in (before[0], new)


@given(NAMES, MEMBERS, st.integers(0, 5))
def test_a_spread_fills_what_there_is_without_overlap(
    names: list[str], members: list[str], room: int
) -> None:
    given_names = spread(names, dict.fromkeys(members, room))
    flat = [name for each in given_names.values() for name in each]
    assert len(flat) == len(set(flat)) == min(len(names), room * len(members))
    assert set(flat) == set(names[: len(flat)]), "the first names have priority"
    assert all(len(each) <= room for each in given_names.values())


class Sleeper:
    def __init__(self) -> None:
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_turns_never_exceed_the_rate_in_any_second() -> None:
    clock = Sleeper()
    limit = RateLimit(20, lambda: clock.now, clock.sleep)

    async def turns() -> list[float]:
        times = []
        for _ in range(100):
            await limit.turn()
            times.append(clock.now)
        return times

    times = asyncio.run(turns())
    # A hair less than a second, because sums of floats are not exact.
    assert max(sum(t <= other < t + 0.999 for other in times) for t in times) <= 20
    assert times[-1] - times[0] < 5.0


def test_too_many_requests_slow_it_down_for_a_while() -> None:
    clock = Sleeper()
    limit = RateLimit(10, lambda: clock.now, clock.sleep)

    async def per_second() -> float:
        began = clock.now
        for _ in range(10):
            await limit.turn()
        return round(10 / (clock.now - began), 1)

    assert asyncio.run(per_second()) >= 10
    limit.slow_down()
    assert asyncio.run(per_second()) == 5
    clock.now += 31
    assert asyncio.run(per_second()) >= 10


def test_waits_grow_to_a_limit_and_begin_anew() -> None:
    backoff = Backoff(1, 30, random.Random(1))
    waits = [backoff.next_seconds() for _ in range(8)]
    assert all(0.5 * min(30, 2**n) <= wait <= min(30, 2**n) for n, wait in enumerate(waits))
    backoff.reset()
    assert backoff.next_seconds() <= 1


def test_a_breaker_opens_probes_and_opens_for_longer() -> None:
    breaker = Breaker(failures=3, cooldown=10)
    for _ in range(3):
        assert breaker.allows(0)
        breaker.failed(0)
    assert breaker.state(9) is BreakerState.OPEN
    assert not breaker.allows(9)
    assert breaker.state(10) is BreakerState.HALF_OPEN
    assert breaker.allows(10)
    assert not breaker.allows(10), "one probe"
    breaker.failed(11)
    assert breaker.state(30) is BreakerState.OPEN, "twice as long"
    assert breaker.state(31) is BreakerState.HALF_OPEN
    breaker.worked()
    assert breaker.state(31) is BreakerState.CLOSED


def test_kinds_of_session() -> None:
    kind = SessionKind(SessionCalendar("XNAS"))
    day = 1735257600000  # 2024-12-27T00:00Z, a Friday
    hour = 3600 * 1000
    assert kind(day + 12 * hour) is MarketSession.PRE
    assert kind(day + 15 * hour) is MarketSession.REGULAR
    assert kind(day + 22 * hour) is MarketSession.POST
    assert kind(day + 30 * hour) is MarketSession.PRE
    assert kind.trading(day + 12 * hour)
    assert not kind.trading(day + 8 * hour)
    assert kind.trading(day + 22 * hour)
    assert not kind.trading(day + 40 * hour), "Saturday"
