"""How symbols are counted."""

import time
from datetime import date
from unittest.mock import Mock

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from prometheus_client import CollectorRegistry

from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.report import Report, SymbolState, symbol_states
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.sessions import session_from_date
from stockpipeline.runtime.metrics import DetectorMetrics

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


def _reported(position: int, end: int) -> dict[str, float]:
    """What is told when ticks of an hour ago were taken up to a position of a partition."""
    registry, assignment, consumer = CollectorRegistry(), Assignment(["IBM"], 1), Mock()
    assignment.add([0])
    assignment.found(0, 0, 0)
    assignment.restored(0)
    assignment.processed({0: position})
    consumer.known_end.return_value = end
    metrics = DetectorMetrics(registry, "demo")
    report = Report(
        consumer, [], assignment, lambda _symbol: True, lambda _symbol: FRIDAY, CALENDAR, metrics, Mock()
    )
    hour_ago = int(time.time() - 3600) * 1000
    report.taken(Message("ticks", 0, position, b"IBM", b"{}", timestamp=(TIMESTAMP_CREATE_TIME, hour_ago)))
    report.update()
    found = {}
    for name in ("lag_records", "watermark_age_seconds"):
        value = registry.get_sample_value(f"stockpipeline_detector_{name}", {"pipeline": "demo"})
        assert value is not None
        found[name] = value
    return found


def test_the_watermark_is_as_old_as_the_newest_tick_while_others_wait() -> None:
    found = _reported(position=5, end=12)
    assert found["lag_records"] == 7
    assert found["watermark_age_seconds"] >= 3600


def test_a_detector_that_waits_for_ticks_is_not_behind() -> None:
    assert _reported(position=12, end=12) == {"lag_records": 0, "watermark_age_seconds": 0}
