"""The benchmark's trades for a detector that may not own its partition.

Excess returns need the price of another symbol at the time of each entry and exit. That symbol's ticks are in
one partition, and every detector reads them there for itself, outside of the group, in a thread of its own.
Which price counts depends on event times alone (see ``performance.benchmark``), so it does not matter how far
ahead or behind this reading is, nor whether it was begun anew.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing

import structlog
from confluent_kafka import Message

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import backwards
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MalformedTick, MarketSession, Tick, decode_tick
from stockpipeline.signals.judged import JudgedDetector

_PAUSE_SECONDS = 0.2
_log = structlog.get_logger()


class BenchmarkFeed:
    """Brings the benchmark's trades to a detector, from the time on that it first needs them."""

    def __init__(
        self,
        open_ticks: Callable[[], TopicReader],
        partition: int,
        symbol: str,
        detector: JudgedDetector,
        calendar: SessionCalendar,
    ) -> None:
        self._open_ticks = open_ticks
        self._partition = partition
        self._symbol = symbol
        self._detector = detector
        self._calendar = calendar
        self._reading: _Reading | None = None

    def advance(self) -> list[str]:
        """Hand over what was read; return the symbols whose positions that changed."""
        wait = self._detector.oldest_wait
        if wait is None:
            return []
        if self._reading is None or wait < self._reading.since_ms:
            self.close()
            self._detector.begin_benchmark(wait)
            self._reading = _Reading(self._open_ticks, self._partition, wait, self._trade)
        trades = self._reading.trades
        while trades:
            self._detector.on_benchmark(*trades.popleft())
        return self._detector.compare()

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.stop()
            self._reading = None

    def _trade(self, message: Message) -> tuple[int, float] | None:
        """Return time and price of a message that is a trade of the benchmark in a regular session."""
        if message.key() != self._symbol.encode():
            return None
        try:
            tick = decode_tick(message.value() or b"")
        except MalformedTick:
            return None
        if not self._counts(tick):
            return None
        return tick.ts, tick.price

    def _counts(self, tick: Tick) -> bool:
        return (
            tick.symbol == self._symbol
            and tick.session is MarketSession.REGULAR
            and self._calendar.session_of(tick.ts) is not None
        )


class _Reading:
    """A thread that reads a partition from an event time on."""

    def __init__(
        self,
        open_ticks: Callable[[], TopicReader],
        partition: int,
        since_ms: int,
        trade: Callable[[Message], tuple[int, float] | None],
    ) -> None:
        self.since_ms = since_ms
        self.trades: deque[tuple[int, float]] = deque()
        self._open_ticks = open_ticks
        self._partition = partition
        self._trade = trade
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="benchmark", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        offset: int | None = None
        while not self._stopped.is_set():
            try:
                with closing(self._open_ticks()) as reader:
                    if offset is None:
                        offset = self._find_start(reader)
                    while not self._stopped.wait(_PAUSE_SECONDS):
                        offset = self._read_on(reader, offset)
            except KafkaUnavailable as error:
                if not self._stopped.is_set():
                    _log.warning("the benchmark cannot be read, trying again", why=str(error))

    def _find_start(self, reader: TopicReader) -> int:
        """Return an offset from which on all trades since the wanted time come.

        The one before the first window that begins earlier: ticks are nearly in the order of their times.
        """
        first, end = reader.range(self._partition)
        start, found = end, False
        for window in backwards(reader, self._partition, self._go_on):
            times: list[int] = []
            for message in window:
                offset = message.offset()
                assert offset is not None
                start = min(start, offset)
                trade = self._trade(message)
                if trade is not None and not times:
                    times.append(trade[0])
            if found:
                break
            found = bool(times) and times[0] < self.since_ms
        return max(first, start)

    def _read_on(self, reader: TopicReader, offset: int) -> int:
        """Read up to the present end; return it."""
        _, end = reader.range(self._partition)
        for message in reader.read({self._partition: (offset, end)}, self._go_on):
            trade = self._trade(message)
            if trade is not None:
                self.trades.append(trade)
        return max(offset, end)

    def _go_on(self) -> bool:
        return not self._stopped.is_set()
