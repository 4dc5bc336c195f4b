"""A detector with the performance of its signals, over real bars played as ticks."""

from collections.abc import Iterable
from datetime import date

import msgspec
import pytest

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Outcome
from stockpipeline.signals.judged import JudgedDetector
from stockpipeline.signals.performance.judge import Measures
from stockpipeline.signals.performance.record import Performance, Status
from stockpipeline.signals.signal import Signal
from stockpipeline.signals.state import performance_key
from stockpipeline.sources.replay import ReplaySource

SYMBOLS = ("AAPL", "IBM")
MEASURES = Measures(("1h", "1d"), 0.0005)


@pytest.fixture(scope="module")
def source(calendar: SessionCalendar) -> ReplaySource:
    bars = {symbol: packaged_bars(symbol) for symbol in SYMBOLS}
    return ReplaySource("replay", bars, calendar, date(2008, 9, 15), date(2008, 10, 3), 40)


@pytest.fixture(scope="module")
def ticks(source: ReplaySource) -> list[Tick]:
    return list(source.ticks({}))


def warm(source: ReplaySource, calendar: SessionCalendar, measures: Measures = MEASURES) -> JudgedDetector:
    detector = JudgedDetector(
        "default/demo", DEFAULT_INDICATORS, DEFAULT_RULES, calendar, measures, own_benchmark=False
    )
    for symbol in SYMBOLS:
        detector.warm_up(symbol, source.history(symbol))
    return detector


def run(detector: JudgedDetector, ticks: Iterable[Tick]) -> tuple[list[Signal], dict[str, Performance]]:
    """The signals, and the newest performance of each."""
    signals: list[Signal] = []
    newest: dict[str, Performance] = {}
    for tick in ticks:
        result = detector.on_tick(tick)
        assert result.outcome is Outcome.ACCEPTED
        signals += result.signals
        for record in detector.news(tick.symbol, live=0).records:
            assert newest.get(record.id) is None or newest[record.id].status is not Status.CLOSED
            newest[record.id] = record
    return signals, newest


def test_each_signal_is_entered_at_its_symbols_next_tick(
    source: ReplaySource, ticks: list[Tick], calendar: SessionCalendar
) -> None:
    signals, newest = run(warm(source, calendar), ticks)
    assert len(signals) > 10
    assert sum(record.status is Status.CLOSED for record in newest.values()) > 8
    for signal in signals:
        later = [tick for tick in ticks if tick.symbol == signal.symbol and tick.ts > signal.ts]
        if not later:
            assert signal.id not in newest
            continue
        record = newest[signal.id]
        assert record.entry is not None
        assert (record.entry.ts, record.entry.price) == (later[0].ts, later[0].price)
        assert (record.rule, record.side, record.confidence) == (signal.rule, signal.side, signal.confidence)
        assert (record.signal.ts, record.signal.price) == (signal.ts, signal.price)


@pytest.mark.parametrize("stop", [100, 333, 701])
def test_a_restart_gives_the_performance_of_an_uninterrupted_run(
    source: ReplaySource, ticks: list[Tick], calendar: SessionCalendar, stop: int
) -> None:
    whole = run(warm(source, calendar), ticks)
    detector = warm(source, calendar)
    stored: dict[str, dict[str, bytes]] = {symbol: {} for symbol in SYMBOLS}
    signals: list[Signal] = []
    newest: dict[str, Performance] = {}
    for part in (ticks[:stop], ticks[stop:]):
        made, told = run(detector, part)
        signals += made
        newest |= told
        for symbol in SYMBOLS:
            for key, value in detector.changes(symbol):
                stored[symbol][key] = value
        detector = warm(source, calendar)
        for symbol in SYMBOLS:
            detector.restore(symbol, stored[symbol])
    assert (signals, newest) == whole


def test_positions_are_stored_when_they_change(
    source: ReplaySource, ticks: list[Tick], calendar: SessionCalendar
) -> None:
    detector = warm(source, calendar)
    written = 0
    for tick in ticks:
        detector.on_tick(tick)
        keys = [record.key for record in detector.changes(tick.symbol)]
        assert keys[0] == tick.symbol
        written += performance_key(tick.symbol) in keys
    assert 0 < written < len(ticks) / 2


def test_without_measures_stored_positions_are_left_alone(
    source: ReplaySource, ticks: list[Tick], calendar: SessionCalendar
) -> None:
    """A pipeline whose performance was turned off goes on from the same state."""
    from stockpipeline.signals.detector import Detector, Restored

    judged = warm(source, calendar)
    run(judged, ticks[:400])
    stored = dict(judged.changes("IBM"))
    assert performance_key("IBM") in stored
    plain = Detector("default/demo", DEFAULT_INDICATORS, DEFAULT_RULES, calendar)
    plain.warm_up("IBM", source.history("IBM"))
    assert plain.restore("IBM", stored) is Restored.EXACT
    rest = [tick for tick in ticks[400:] if tick.symbol == "IBM"]
    assert [plain.on_tick(tick) for tick in rest] == [judged.on_tick(tick) for tick in rest]


def test_a_split_rescales_what_is_open(
    source: ReplaySource, ticks: list[Tick], calendar: SessionCalendar
) -> None:
    """AAPL trades at half the price from a day on: indicators, signals and returns are as if it did not."""
    day = next(b for b in packaged_bars("AAPL").since(date(2008, 9, 16))).session
    opens, _ = calendar.open_close_ms(day)
    aapl = [tick for tick in ticks if tick.symbol == "AAPL"]
    signals, plain = run(warm(source, calendar), aapl)
    detector = warm(source, calendar)
    early, told = run(detector, [tick for tick in aapl if tick.ts < opens])
    assert any(record.status is Status.OPEN for record in told.values())
    assert detector.apply("AAPL", CorporateAction(day, split=2.0))
    halved = [msgspec.structs.replace(tick, price=tick.price / 2) for tick in aapl if tick.ts >= opens]
    late, more = run(detector, halved)
    assert [(one.rule, one.ts) for one in early + late] == [(one.rule, one.ts) for one in signals]
    by_time = {(record.rule, record.signal.ts): record for record in (told | more).values()}
    for record in plain.values():
        found = by_time[record.rule, record.signal.ts]
        assert found.status is record.status
        for name, result in record.horizons.items():
            got = found.horizons[name]
            assert (got is None) is (result is None)
            if got is not None and result is not None:
                assert (got.net_return, got.mfe, got.mae) == pytest.approx(
                    (result.net_return, result.mfe, result.mae), abs=1e-12
                )


@pytest.mark.parametrize("lead", [-60, 0, 60])
def test_excess_does_not_depend_on_which_ticks_come_first(
    source: ReplaySource, ticks: list[Tick], calendar: SessionCalendar, lead: int
) -> None:
    """The benchmark's ticks come from another partition: before or after those that are compared."""
    measures = Measures(("1h",), 0.0, "AAPL")
    aapl = [tick for tick in ticks if tick.symbol == "AAPL"]
    ibm = [tick for tick in ticks if tick.symbol == "IBM"]
    detector = warm(source, calendar, measures)
    newest: dict[str, Performance] = {}
    for index in range(-60, len(ibm) + 60):
        if 0 <= index < len(ibm):
            detector.on_tick(ibm[index])
        if 0 <= index + lead < len(aapl):
            detector.on_benchmark(aapl[index + lead].ts, aapl[index + lead].price)
        detector.compare()
        newest |= {record.id: record for record in detector.news("IBM", live=0).records}
    closed = [record for record in newest.values() if record.status is Status.CLOSED]
    assert len(closed) > 5
    for record in closed:
        result = record.horizons["1h"]
        assert result is not None
        assert record.entry is not None
        begin = next(tick.price for tick in aapl if tick.ts >= record.entry.ts)
        end = next(tick.price for tick in aapl if tick.ts >= result.exit.ts)
        sign = 1 if record.side == "buy" else -1
        assert result.excess == pytest.approx(result.gross - sign * (end / begin - 1), abs=1e-12)
