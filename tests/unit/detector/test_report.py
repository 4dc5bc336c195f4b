"""How symbols are counted."""

from datetime import date

from stockpipeline.detector.report import SymbolState, symbol_states
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.sessions import session_from_date

CALENDAR = SessionCalendar("XNAS")
FRIDAY = session_from_date(date(2013, 1, 4))
MONDAY, TUESDAY = FRIDAY + 3, FRIDAY + 4


def test_a_symbol_without_enough_history_is_warming() -> None:
    sessions = {"IBM": FRIDAY, "FB": None}
    states = symbol_states(["IBM", "FB"], lambda symbol: symbol == "IBM", sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 1, SymbolState.WARMING: 1}


def test_a_weekend_makes_nothing_stale() -> None:
    sessions = {"IBM": FRIDAY, "AAPL": MONDAY}
    states = symbol_states(["IBM", "AAPL"], lambda _symbol: True, sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 2}


def test_a_session_without_a_tick_makes_a_symbol_stale() -> None:
    sessions = {"IBM": FRIDAY, "AAPL": TUESDAY}
    states = symbol_states(["IBM", "AAPL"], lambda _symbol: True, sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 1, SymbolState.STALE: 1}


def test_only_the_symbols_that_are_owned_say_what_day_it_is() -> None:
    sessions = {"IBM": FRIDAY, "AAPL": TUESDAY}
    states = symbol_states(["IBM"], lambda _symbol: True, sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 1}
