"""How symbols are counted."""

from stockpipeline.detector.report import SymbolState, symbol_states
from stockpipeline.market.calendar import SessionCalendar

CALENDAR = SessionCalendar("XNAS")
DAY_MS = 86_400_000
# Friday 2013-01-04, 15:00 in New York; the session before it is Thursday's, the one after it Monday's.
FRIDAY = 1357329600000
MONDAY = FRIDAY + 3 * DAY_MS
TUESDAY = FRIDAY + 4 * DAY_MS


def test_a_symbol_without_enough_history_is_warming() -> None:
    states = symbol_states(["IBM", "FB"], lambda symbol: symbol == "IBM", {}, CALENDAR)
    assert states == {SymbolState.READY: 1, SymbolState.WARMING: 1}


def test_a_weekend_makes_nothing_stale() -> None:
    states = symbol_states(["IBM", "AAPL"], lambda _symbol: True, {"IBM": FRIDAY, "AAPL": MONDAY}, CALENDAR)
    assert states == {SymbolState.READY: 2}


def test_a_session_without_a_tick_makes_a_symbol_stale() -> None:
    states = symbol_states(["IBM", "AAPL"], lambda _symbol: True, {"IBM": FRIDAY, "AAPL": TUESDAY}, CALENDAR)
    assert states == {SymbolState.READY: 1, SymbolState.STALE: 1}
