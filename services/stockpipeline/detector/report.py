"""What the detector tells about itself once a second: connection, lag, and the state of its symbols."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

from confluent_kafka import Message

from stockpipeline.adapters.kafka_client import BrokerConnection
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.detector.assignment import Assignment
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.runtime.health import Readiness
from stockpipeline.runtime.metrics import DetectorMetrics

_INTERVAL_SECONDS = 1.0
_SYMBOLS_AT_ONCE = 50
_COUNTED = object()


class SymbolState(StrEnum):
    """What can be expected of a symbol."""

    READY = "ready"
    WARMING = "warming"
    """Some of its rules cannot signal yet: its history is too short."""
    STALE = "stale"
    """It has had no tick for a whole session in which others traded."""


class Report:
    """Sets gauges and the check `kafka`; the main loop calls it on every round."""

    def __init__(
        self,
        consumer: GroupConsumer,
        connections: Iterable[BrokerConnection],
        assignment: Assignment,
        symbol_ready: Callable[[str], bool],
        last_session: Callable[[str], int | None],
        calendar: SessionCalendar,
        metrics: DetectorMetrics,
        readiness: Readiness,
    ) -> None:
        self._consumer = consumer
        self._connections = tuple(connections)
        self._assignment = assignment
        self._symbol_ready = symbol_ready
        self._last_session = last_session
        self._calendar = calendar
        self._metrics = metrics
        self._readiness = readiness
        self._next = 0.0
        self._arrived_ms = 0
        self._counting: Iterator[None] | None = None

    def taken(self, newest: Message) -> None:
        """Note the newest message that was taken."""
        self._arrived_ms = newest.timestamp()[1]

    def update(self) -> None:
        """Report, unless that was less than a second ago; a part of the symbols is counted at each call."""
        if self._counting is not None and next(self._counting, _COUNTED) is _COUNTED:
            self._counting = None
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL_SECONDS
        self.connection()
        for partition in self._assignment.active:
            self._assignment.grown(partition, self._consumer.known_end(partition))
        lag = self._assignment.lag
        self._metrics.lag.set(lag)
        waiting = lag and self._arrived_ms
        self._metrics.watermark_age.set(max(0.0, time.time() - self._arrived_ms / 1000) if waiting else 0.0)
        if self._counting is None:
            self._counting = self._count_states()

    def _count_states(self) -> Iterator[None]:
        """Count the symbols by state, some at each step: of thousands, all at once would hold up signals."""
        owned = [
            symbol for partition in self._assignment.owned for symbol in self._assignment.symbols(partition)
        ]
        newest = -1
        for group in _groups(owned):
            newest = max(newest, newest_session(group, self._last_session))
            yield
        states: Counter[SymbolState] = Counter()
        for group in _groups(owned):
            states += symbol_states(group, newest, self._symbol_ready, self._last_session, self._calendar)
            yield
        for state in SymbolState:
            self._metrics.symbols(state, states[state])

    def connection(self) -> None:
        """Set the check `kafka`."""
        trouble = next(filter(None, (connection.trouble for connection in self._connections)), None)
        if trouble is None:
            self._readiness.fine("kafka")
        else:
            self._readiness.waiting("kafka", trouble)


def _groups(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
        yield symbols[start : start + _SYMBOLS_AT_ONCE]


def newest_session(symbols: Iterable[str], last_session: Callable[[str], int | None]) -> int:
    """Return the newest of the symbols' sessions, -1 where none of them had any.

    `last_session` gives the session of a symbol's newest bar, None before its first.
    """
    sessions = (last_session(symbol) for symbol in symbols)
    return max((session for session in sessions if session is not None), default=-1)


def symbol_states(
    symbols: Iterable[str],
    newest: int,
    ready: Callable[[str], bool],
    last_session: Callable[[str], int | None],
    calendar: SessionCalendar,
) -> Counter[SymbolState]:
    """Return how many symbols are in each state; "now" is the `newest` session, not the wall clock's."""
    states: Counter[SymbolState] = Counter()
    for symbol in symbols:
        last = last_session(symbol)
        if last is not None and last < newest and calendar.next_session(last) < newest:
            states[SymbolState.STALE] += 1
        else:
            states[SymbolState.READY if ready(symbol) else SymbolState.WARMING] += 1
    return states
