"""How symbols are counted."""

import time
from datetime import date
from unittest.mock import Mock

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from prometheus_client import CollectorRegistry

from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.report import Report, SymbolState, newest_session, symbol_states
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.sessions import session_from_date
from stockpipeline.runtime.metrics import DetectorMetrics

CALENDAR = SessionCalendar("XNAS")
FRIDAY = session_from_date(date(2013, 1, 4))
MONDAY, TUESDAY = FRIDAY + 3, FRIDAY + 4


def test_a_symbol_without_enough_history_is_warming() -> None:
    sessions = {"IBM": FRIDAY, "FB": None}
    states = symbol_states(["IBM", "FB"], FRIDAY, lambda symbol: symbol == "IBM", sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 1, SymbolState.WARMING: 1}


def test_a_weekend_makes_nothing_stale() -> None:
    sessions = {"IBM": FRIDAY, "AAPL": MONDAY}
    states = symbol_states(["IBM", "AAPL"], MONDAY, lambda _symbol: True, sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 2}


def test_a_session_without_a_tick_makes_a_symbol_stale() -> None:
    sessions = {"IBM": FRIDAY, "AAPL": TUESDAY}
    states = symbol_states(["IBM", "AAPL"], TUESDAY, lambda _symbol: True, sessions.get, CALENDAR)
    assert states == {SymbolState.READY: 1, SymbolState.STALE: 1}


def test_the_newest_session_is_that_of_any_symbol() -> None:
    sessions = {"IBM": FRIDAY, "AAPL": TUESDAY, "FB": None}
    assert newest_session(["IBM", "FB"], sessions.get) == FRIDAY
    assert newest_session(["IBM", "AAPL", "FB"], sessions.get) == TUESDAY
    assert newest_session(["FB"], sessions.get) == -1


def test_thousands_of_symbols_are_counted_in_parts_and_only_those_that_are_owned() -> None:
    registry, consumer = CollectorRegistry(), Mock()
    assignment = Assignment([f"S{number}" for number in range(1000)], 2)
    assignment.add([1])
    owned = assignment.symbols(1)
    last = owned[-1]
    # Another's symbol had a tick on Tuesday, which makes none of the own ones stale.
    sessions = dict.fromkeys(owned, FRIDAY) | dict.fromkeys(assignment.symbols(0), TUESDAY) | {last: MONDAY}
    asked: list[str] = []

    def ready(symbol: str) -> bool:
        asked.append(symbol)
        return symbol != last

    metrics = DetectorMetrics(registry, "demo")
    report = Report(consumer, [], assignment, ready, sessions.get, CALENDAR, metrics, Mock())

    def counted() -> dict[str, float | None]:
        name = "stockpipeline_detector_symbols"
        return {
            state: registry.get_sample_value(name, {"pipeline": "demo", "state": state})
            for state in SymbolState
        }

    most = 0
    while not counted()[SymbolState.READY]:
        before = len(asked)
        report.update()
        most = max(most, len(asked) - before)
    assert sorted(asked) == sorted(owned)
    assert most < len(owned) / 2
    assert counted() == {"ready": len(owned) - 1, "warming": 1, "stale": 0}


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
