"""The performance of signals on its way out: to its topic within the transaction, and after the commit to
metrics and to the live view.

A signal's records go to the partition with the number of its symbol's ticks. Most of what is told is live
figures; of those each commit takes only so many, so that a detector with many open signals, or one that
catches up, does not spend its time on figures that are old at once.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Protocol

from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import backwards
from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.adapters.performance_redis import Closed
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.benchmark_feed import BenchmarkFeed
from stockpipeline.detector.live_view import LiveView
from stockpipeline.runtime.metrics import PerformanceMetrics
from stockpipeline.signals.judged import JudgedDetector
from stockpipeline.signals.performance.judge import Reached
from stockpipeline.signals.performance.record import Performance as Record
from stockpipeline.signals.performance.record import Status, decode_performance, encode_performance

MOST_LIVE_RECORDS = 200
"""Live figures in one commit; there are up to ten commits a second."""
_SECONDS_BETWEEN = 0.5
"""How often the benchmark is looked at, and open signals are counted."""


class Performance(Protocol):
    """What the detector's loop and its commits ask of the performance of signals."""

    def compare(self) -> list[str]:
        """Use what is new of the benchmark; return the symbols whose state that changed."""

    def write(self, symbols: Iterable[str]) -> None:
        """Write what is new of these symbols' signals into the open transaction.

        Raises:
            TransactionFailed, KafkaFatal: see ``TransactionalProducer.send``.
        """

    def committed(self) -> None:
        """What was written is committed: let it be seen."""

    def clear(self) -> None:
        """Forget what was written: it will not be committed."""

    def restored(self, partition: int) -> None:
        """The symbols of a partition are where its last owner left them.

        Raises:
            KafkaUnavailable: what is to be shown cannot be read; try again.
        """

    def dropped(self, partition: int) -> None:
        """A partition has another owner now."""

    def close(self) -> None:
        """End what runs in the background."""


class _NotJudged:
    """The performance of signals that nobody asked to judge."""

    def compare(self) -> list[str]:
        return []

    def write(self, symbols: Iterable[str]) -> None: ...

    def committed(self) -> None: ...

    def clear(self) -> None: ...

    def restored(self, partition: int) -> None: ...

    def dropped(self, partition: int) -> None: ...

    def close(self) -> None: ...


NOT_JUDGED: Performance = _NotJudged()


class JudgedSignals:
    """The performance of a detector's signals; a ``Performance``."""

    def __init__(
        self,
        producer: TransactionalProducer,
        topic: str,
        open_performance: Callable[[], TopicReader],
        detector: JudgedDetector,
        assignment: Assignment,
        feed: BenchmarkFeed | None,
        view: LiveView,
        metrics: PerformanceMetrics,
        keep_waiting: KeepWaiting,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._open_performance = open_performance
        self._detector = detector
        self._assignment = assignment
        self._feed = feed
        self._view = view
        self._metrics = metrics
        self._keep_waiting = keep_waiting
        self._compared_at = self._counted_at = 0.0
        self.clear()

    def compare(self) -> list[str]:
        """See ``Performance``."""
        now = time.monotonic()
        if self._feed is None or now < self._compared_at + _SECONDS_BETWEEN:
            return []
        self._compared_at = now
        return self._feed.advance()

    def write(self, symbols: Iterable[str]) -> None:
        """See ``Performance``."""
        for symbol in symbols:
            records, reached = self._detector.news(symbol, max(0, self._room))
            self._room -= len(records)
            self._reached += reached
            partition = self._assignment.partition_of[symbol]
            for record in records:
                value = encode_performance(record)
                self._producer.send(self._topic, value, record.id, self._keep_waiting, partition=partition)
                self._written[partition].append((record, value))

    def committed(self) -> None:
        """See ``Performance``."""
        for partition, written in self._written.items():
            changed: dict[str, bytes] = {}
            closed: dict[str, Closed] = {}
            for record, value in written:
                if record.status is Status.CLOSED:
                    closed[record.id] = Closed(last_exit(record), value)
                else:
                    changed[record.id] = value
            self._view.update(partition, changed, closed)
        for rule, horizon, net_return in self._reached:
            self._metrics.reached(rule, horizon, net_return)
        self.clear()
        now = time.monotonic()
        if now >= self._counted_at + _SECONDS_BETWEEN:
            self._counted_at = now
            self._metrics.open_signals(self._detector.open_by_rule())

    def clear(self) -> None:
        """See ``Performance``."""
        self._written: defaultdict[int, list[tuple[Record, bytes]]] = defaultdict(list)
        self._reached: list[Reached] = []
        self._room = MOST_LIVE_RECORDS

    def restored(self, partition: int) -> None:
        """See ``Performance``."""
        records = (
            record
            for symbol in self._assignment.symbols(partition)
            for record in self._detector.results_of(symbol)
        )
        open_ones = {record.id: encode_performance(record) for record in records}
        self._view.begin(partition, open_ones, self._newest_closed(partition))

    def dropped(self, partition: int) -> None:
        """See ``Performance``."""
        self._view.drop(partition)

    def close(self) -> None:
        """See ``Performance``."""
        if self._feed is not None:
            self._feed.close()
        self._view.close()

    def _newest_closed(self, partition: int) -> dict[str, Closed]:
        """Return the final records among the newest of a partition: those that Redis may have lost."""
        closed: dict[str, Closed] = {}
        with closing(self._open_performance()) as reader:
            for message in next(backwards(reader, partition, self._keep_waiting), ()):
                value = message.value()
                if value is None:
                    continue
                record = decode_performance(value)
                if record.status is Status.CLOSED:
                    closed[record.id] = Closed(last_exit(record), value)
        return closed


def last_exit(record: Record) -> int:
    """Return the time of a closed signal's last exit, epoch ms."""
    return max(result.exit.ts for result in record.horizons.values() if result is not None)
