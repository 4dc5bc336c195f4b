"""The fallback chain, by example and under any schedule of faults."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.sources.breaker import BreakerState
from stockpipeline.sources.chain import MAX_SKEW_MS, RETURN_MS, Chain, Drop, SourceTerms

START = 1_700_000_000_000
FIRST, SECOND, THIRD = "first", "second", "third"
TERMS = (SourceTerms(FIRST, 60_000), SourceTerms(SECOND, 120_000), SourceTerms(THIRD, 120_000))


def tick(source: str, ts: int, symbol: str = "AAPL", price: float = 1.0) -> Tick:
    return Tick(symbol, price, 1.0, ts, source, MarketSession.REGULAR)


class Clock:
    """A market that is open until it is closed; the chain's calendar."""

    def __init__(self) -> None:
        self.now = START
        self.closed_at: int | None = None

    def trading_ms(self, now_ms: int) -> int:
        return now_ms if self.closed_at is None else min(now_ms, self.closed_at)


def chain(clock: Clock, *symbols: str) -> Chain:
    return Chain(symbols or ("AAPL",), TERMS, clock.trading_ms, START)


def test_the_preferred_source_serves_and_the_others_stand_by() -> None:
    one = chain(Clock())
    assert one.offer(tick(FIRST, START), START)
    assert not one.offer(tick(SECOND, START), START)
    assert one.dropped == {(SECOND, Drop.STANDBY): 1}


def test_a_silent_source_loses_the_symbol_to_the_next_that_speaks() -> None:
    one = chain(Clock())
    assert one.offer(tick(FIRST, START), START)
    later = START + 60_000
    assert not one.offer(tick(SECOND, later - 2), later - 1)
    assert one.offer(tick(SECOND, later), later)
    assert one.states(later)["AAPL"].source == SECOND
    assert one.switches == {SECOND: 1}


def test_a_quiet_night_is_no_outage() -> None:
    clock = Clock()
    one = chain(clock)
    assert one.offer(tick(FIRST, START), START)
    clock.closed_at = START + 1000
    night = START + 8 * 3600 * 1000
    assert not one.states(night)["AAPL"].stale
    assert not one.offer(tick(SECOND, night), night), "nothing is wrong with the first"


def test_no_source_left_is_stale_and_gives_nothing() -> None:
    one = chain(Clock())
    late = START + 130_000
    state = one.states(late)["AAPL"]
    assert state.stale
    assert state.silent_ms == 130_000
    assert one.review(late) == {FIRST: {"AAPL"}, SECOND: {"AAPL"}, THIRD: {"AAPL"}}, "everybody is asked"


def test_the_preferred_source_comes_back_after_a_while_without_a_break() -> None:
    one = chain(Clock())
    now = START + 60_000
    assert one.offer(tick(SECOND, now), now)
    back = now + 1000
    while back < now + 1000 + RETURN_MS:
        assert not one.offer(tick(FIRST, back), back)
        assert one.offer(tick(SECOND, back), back)
        back += 5000
    assert one.offer(tick(FIRST, back), back)
    assert one.states(back)["AAPL"].source == FIRST


def test_a_source_that_flaps_has_to_prove_itself_for_longer() -> None:
    one = chain(Clock())
    now, switches = START, 0
    # For an hour the first works for 40 s and is silent for 70 s, the second always works.
    for second in range(3600):
        now = START + second * 1000
        if second % 110 < 40:
            one.offer(tick(FIRST, now), now)
        one.offer(tick(SECOND, now), now)
        one.review(now)
    switches = sum(one.switches.values())
    assert switches <= 8, "without the growing wait there would be more than 60"


def test_what_is_behind_is_late_also_after_a_switch() -> None:
    one = chain(Clock())
    assert one.offer(tick(FIRST, START + 500), START + 500)
    now = START + 61_000
    assert not one.offer(tick(SECOND, START + 400), now)
    assert one.dropped == {(SECOND, Drop.LATE): 1}
    assert one.offer(tick(SECOND, START + 500), now), "the same time is not behind"


def test_a_source_that_only_brings_the_past_is_left() -> None:
    one = chain(Clock())
    assert one.offer(tick(FIRST, START + 1000), START + 1000)
    for now in range(START + 2000, START + 100_000, 1000):
        one.offer(tick(FIRST, START - 3_600_000), now)
    assert one.offer(tick(SECOND, START + 100_000), START + 100_000)


def test_an_event_from_the_future_does_not_make_all_others_late() -> None:
    one = chain(Clock())
    assert not one.offer(tick(FIRST, START + MAX_SKEW_MS + 1), START)
    assert one.offer(tick(FIRST, START), START)
    assert one.dropped == {(FIRST, Drop.FUTURE): 1}


def test_a_failing_source_is_left_before_it_is_silent_for_long() -> None:
    one = chain(Clock())
    assert one.offer(tick(FIRST, START), START)
    for _ in range(5):
        one.answered(FIRST, None, START + 1000)
    assert one.breaker_state(FIRST, START + 1000) is BreakerState.OPEN
    assert not one.may_ask(FIRST, START + 1000)
    assert one.offer(tick(SECOND, START + 1000), START + 1000)
    probe = START + 6000
    assert [one.may_ask(FIRST, probe) for _ in range(3)] == [True, False, False], "one probe at a time"
    one.answered(FIRST, 0.1, probe)
    assert one.breaker_state(FIRST, probe) is BreakerState.CLOSED


def test_a_source_that_refuses_a_symbol_is_left_for_it_only() -> None:
    one = chain(Clock(), "AAPL", "MSFT")
    one.failed(FIRST, "AAPL")
    assert one.offer(tick(SECOND, START), START)
    assert not one.offer(tick(SECOND, START, "MSFT"), START)
    assert one.review(START)[SECOND] == {"AAPL"}
    assert one.review(START)[FIRST] == {"AAPL", "MSFT"}


def test_asked_and_nothing_traded_is_not_silence() -> None:
    one = chain(Clock())
    for now in range(START, START + 300_000, 10_000):
        one.confirmed(FIRST, "AAPL", now)
        assert not one.states(now)["AAPL"].stale
        assert not one.offer(tick(SECOND, now), now)


def test_a_restart_goes_on_after_what_was_sent() -> None:
    one = chain(Clock())
    one.resume({"AAPL": START, "GONE": START})
    assert not one.offer(tick(FIRST, START - 1), START)
    assert one.offer(tick(FIRST, START), START)


def test_the_score_falls_with_silence_errors_and_latency() -> None:
    one = chain(Clock())
    best = one.score(FIRST, "AAPL", START)
    assert best == 1.0
    assert one.score(FIRST, "AAPL", START + 30_000) == 0.5
    one.answered(FIRST, 5.0, START)
    slower = one.score(FIRST, "AAPL", START)
    one.answered(FIRST, None, START)
    assert best > slower > one.score(FIRST, "AAPL", START) > 0


EVENTS = st.one_of(
    st.tuples(st.just("tick"), st.sampled_from([FIRST, SECOND, THIRD]), st.integers(-5000, 70_000)),
    st.tuples(st.just("fail"), st.sampled_from([FIRST, SECOND, THIRD]), st.integers(1, 6)),
    st.tuples(st.just("refuse"), st.sampled_from([FIRST, SECOND, THIRD]), st.just(0)),
    st.tuples(st.just("confirm"), st.sampled_from([FIRST, SECOND, THIRD]), st.just(0)),
    st.tuples(st.just("wait"), st.just(""), st.integers(0, 200_000)),
    st.tuples(st.just("close"), st.just(""), st.just(0)),
)


@given(st.lists(st.tuples(EVENTS, st.sampled_from(["AAPL", "MSFT"])), max_size=120))
@settings(max_examples=200)
def test_any_schedule_of_faults(schedule: list[tuple[tuple[str, str, int], str]]) -> None:
    """Per symbol, event times never go back; what is sent was offered; every other offer is counted once."""
    clock = Clock()
    one = chain(clock, "AAPL", "MSFT")
    newest: dict[str, int] = {}
    sent: Counter[str] = Counter()
    offered: Counter[str] = Counter()
    for (what, source, number), symbol in schedule:
        now = clock.now
        if what == "tick":
            offered[source] += 1
            given = tick(source, now + number, symbol)
            if one.offer(given, now):
                assert given.ts >= newest.get(symbol, 0)
                assert given.ts <= now + MAX_SKEW_MS
                assert one.states(now)[symbol].source == source, "every tick is of the source that serves"
                newest[symbol] = given.ts
                sent[source] += 1
        elif what == "fail":
            for _ in range(number):
                one.answered(source, None, now)
        elif what == "refuse":
            one.failed(source, symbol)
        elif what == "confirm":
            one.confirmed(source, symbol, now)
        elif what == "wait":
            clock.now += number
        else:
            clock.closed_at = clock.now
        one.review(clock.now)
    dropped: Counter[str] = Counter()
    for (source, _why), count in one.dropped.items():
        dropped[source] += count
    assert offered == sent + dropped
