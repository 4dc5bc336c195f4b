"""The whole core against an independent computation: same bars and ticks, same signals, to the last bit."""

from datetime import date

import msgspec
import pytest

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_date
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.offline import OfflineDetector
from stockpipeline.sources.replay import ReplaySource
from tests.oracle import Ohlcv, expected_signals


@pytest.mark.parametrize(("start", "end"), [("2008-09-15", "2008-10-31"), ("2012-10-15", "2012-11-30")])
def test_a_replay_gives_the_signals_of_an_independent_computation(
    calendar: SessionCalendar, start: str, end: str
) -> None:
    bars = {symbol: packaged_bars(symbol) for symbol in ("AAPL", "MSFT")}
    source = ReplaySource("replay", bars, calendar, date.fromisoformat(start), date.fromisoformat(end), 20)
    histories = {symbol: source.history(symbol).last(250) for symbol in bars}
    core = Detector("default/demo", DEFAULT_INDICATORS, DEFAULT_RULES, calendar)
    detector = OfflineDetector(core, histories, {}, calendar)
    signals = [
        msgspec.to_builtins(signal) for tick in source.ticks({}) for signal in detector.on_tick(tick).signals
    ]
    expected = expected_signals(
        "default/demo",
        {
            symbol: [
                Ohlcv(session_date(bar.session), bar.open, bar.high, bar.low, bar.close, bar.volume)
                for bar in history
            ]
            for symbol, history in histories.items()
        },
        (msgspec.to_builtins(tick) for tick in source.ticks({})),
    )
    assert len(expected) > 10
    assert {signal.pop("confidence") for signal in signals} == {1.0}
    assert signals == expected


def test_a_split_between_the_ticks_is_no_crash(calendar: SessionCalendar) -> None:
    bars = packaged_bars("IBM")
    source = ReplaySource("replay", {"IBM": bars}, calendar, date(2013, 2, 1), None, 4)
    ticks = list(source.ticks({}))
    split = CorporateAction(int(bars.since(date(2013, 2, 5)).sessions[0]), split=4.0)
    opens, _ = calendar.open_close_ms(split.session)
    split_ticks = [
        msgspec.structs.replace(tick, price=tick.price / 4, volume=tick.volume * 4)
        if tick.ts >= opens
        else tick
        for tick in ticks
    ]

    def fired(ticks: list[Tick], *actions: CorporateAction) -> list[tuple[str, int]]:
        core = Detector("default/demo", DEFAULT_INDICATORS, DEFAULT_RULES, calendar)
        detector = OfflineDetector(core, {"IBM": bars}, {"IBM": actions}, calendar)
        return [(signal.rule, signal.ts) for tick in ticks for signal in detector.on_tick(tick).signals]

    assert fired(split_ticks, split) == fired(ticks)
    assert fired(split_ticks) != fired(ticks)
