"""What becomes visible together: signals, dead letters, the changed states of symbols, and the read offsets.

A symbol's state records go to the partition with the number of its ticks' partition, whatever their key:
whoever owns the ticks of a symbol finds all of its state by that number.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Message

from stockpipeline.adapters.dead_letter import dead_letter
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.api import PipelineNames, Topic
from stockpipeline.detector.checkpoint import KEY, encode_checkpoint
from stockpipeline.detector.schedule import CommitSchedule
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.signal import Signal, encode_signal
from stockpipeline.signals.state import StateRecord


class Transaction:
    """The open transaction, if there is one, and what it must still get before its commit."""

    def __init__(
        self,
        producer: TransactionalProducer,
        consumer: GroupConsumer,
        names: PipelineNames,
        metrics: DetectorMetrics,
        changes: Callable[[str], Iterable[StateRecord]],
        partition_of: Mapping[str, int],
        keep_waiting: KeepWaiting,
    ) -> None:
        self._producer = producer
        self._consumer = consumer
        self._metrics = metrics
        self._changes = changes
        self._partition_of = partition_of
        self._keep_waiting = keep_waiting
        self._ticks_topic = names.topic(Topic.TICKS)
        self._signals_topic = names.topic(Topic.SIGNALS)
        self._state_topic = names.topic(Topic.STATE)
        self._dead_letter_topic = names.topic(Topic.DEAD_LETTER)
        self.schedule = CommitSchedule()
        self._clear()

    @property
    def open(self) -> bool:
        """Whether a transaction is open."""
        return self.schedule.is_open

    def poll(self) -> None:
        """Serve the producer's callbacks."""
        self._producer.poll()

    def begin(self) -> None:
        """Open a transaction unless one is open."""
        if not self.open:
            self._producer.begin()
            self.schedule.opened()

    def add_signal(self, signal: Signal, tick: Message) -> None:
        """Send a signal; how long it took since its tick came to Kafka is measured after the commit."""
        self._producer.send(self._signals_topic, encode_signal(signal), signal.symbol, self._keep_waiting)
        self._signals.append((signal, tick.timestamp()[1]))
        self.schedule.urgent()

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        """Send a message that is no tick to the dead-letter topic."""
        letter = dead_letter(message, reason, explanation)
        self._producer.send(
            self._dead_letter_topic, letter.value, letter.key, self._keep_waiting, headers=letter.headers
        )

    def changed(self, symbols: Iterable[str]) -> None:
        """Note that the state of these symbols changed; it is written once, at the commit."""
        self._changed.update(symbols)

    def processed(self, positions: dict[int, int]) -> None:
        """Note up to where ticks are processed: partition → next offset."""
        self._positions.update(positions)

    def commit(self) -> None:
        """Commit the open transaction, if there is one.

        Raises:
            TransactionFailed: abort it, go back to the committed offsets and restore.
            KafkaFatal: start the process anew.
        """
        if not self.open:
            return
        for symbol in self._changed:
            partition = self._partition_of[symbol]
            for key, value in self._changes(symbol):
                self._producer.send(self._state_topic, value, key, self._keep_waiting, partition=partition)
        for partition, offset in self._positions.items():
            self._producer.send(
                self._state_topic, encode_checkpoint(offset), KEY, self._keep_waiting, partition=partition
            )
        self._producer.commit(
            self._ticks_topic, self._positions, self._consumer.group_metadata(), self._keep_waiting
        )
        now = time.time()
        for signal, arrived_ms in self._signals:
            self._metrics.signal(signal.rule, signal.side)
            self._metrics.tick_to_signal.observe(max(0.0, now - arrived_ms / 1000))
        self._clear()

    def abort(self) -> None:
        """Abort the open transaction, if there is one.

        Raises:
            KafkaFatal: start the process anew.
        """
        if not self.open:
            return
        self._producer.abort(self._keep_waiting)
        self._metrics.transactions_aborted.inc()
        self._clear()

    def _clear(self) -> None:
        self.schedule.closed()
        self._signals: list[tuple[Signal, int]] = []
        """With the time (epoch ms) at which the tick came to Kafka."""
        self._changed: set[str] = set()
        self._positions: dict[int, int] = {}
