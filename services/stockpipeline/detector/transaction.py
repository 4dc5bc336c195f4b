"""Exactly once: signals, dead letters, the symbols' states and the read offsets are one transaction.

Readers that skip what is not committed (`read_committed`) see all of it or nothing.
"""

from collections.abc import Iterable, Mapping

from confluent_kafka import Message

from stockpipeline.adapters.dead_letter import dead_letter
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.api import PipelineNames, Topic
from stockpipeline.detector.schedule import CommitSchedule
from stockpipeline.detector.state_writer import StateWriter
from stockpipeline.detector.visible import Sighting
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.signal import Signal, encode_signal


class Transaction:
    """The open transaction, if there is one, and what it must still get before its commit; a ``Delivery``."""

    def __init__(
        self,
        producer: TransactionalProducer,
        consumer: GroupConsumer,
        names: PipelineNames,
        metrics: DetectorMetrics,
        state: StateWriter,
        schedule: CommitSchedule,
        keep_waiting: KeepWaiting,
    ) -> None:
        self._producer = producer
        self._consumer = consumer
        self._metrics = metrics
        self._state = state
        self._schedule = schedule
        self._keep_waiting = keep_waiting
        self._signals_topic = names.topic(Topic.SIGNALS)
        self._dead_letter_topic = names.topic(Topic.DEAD_LETTER)
        self._sightings: list[Sighting] = []

    @property
    def open(self) -> bool:
        """Whether a transaction is open."""
        return self._schedule.is_open

    def poll(self) -> None:
        """Serve the producer's callbacks."""
        self._producer.poll()

    def begin(self) -> None:
        """Open a transaction unless one is open."""
        if not self.open:
            self._producer.begin()
            self._schedule.opened()

    def add_signal(self, signal: Signal, tick: Message) -> None:
        """Send a signal; it is told of after the commit."""
        sighting = Sighting(signal, tick)
        self._producer.send(
            self._signals_topic,
            encode_signal(signal),
            signal.symbol,
            self._keep_waiting,
            headers=sighting.headers,
        )
        self._sightings.append(sighting)
        self._schedule.urgent()

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        """Send a message that is no tick to the dead-letter topic."""
        letter = dead_letter(message, reason, explanation)
        self._producer.send(
            self._dead_letter_topic, letter.value, letter.key, self._keep_waiting, headers=letter.headers
        )

    def changed(self, symbols: Iterable[str]) -> None:
        """Note that the state of these symbols changed; it is written once, at the commit."""
        self._state.changed(symbols)

    def processed(self, positions: Mapping[int, int]) -> None:
        """Note up to where ticks are processed: partition → next offset."""
        self._state.processed(positions)

    def is_due(self, *, caught_up: bool, far_behind: bool) -> bool:
        """Whether to commit now; `caught_up` when no tick waits, `far_behind` when many do."""
        return self._schedule.is_due(caught_up=caught_up, far_behind=far_behind)

    def seconds_left(self) -> float:
        """Seconds to wait for more ticks, at most, before asking again."""
        return self._schedule.seconds_left()

    def commit(self, *, wait: bool) -> None:  # noqa: ARG002
        """Commit the open transaction, if there is one.

        Waits also where it need not: nothing can be added meanwhile.

        Raises:
            TransactionFailed: abort it, go back to the committed offsets and restore.
            KafkaFatal: start the process anew.
        """
        if not self.open:
            return
        with self._metrics.stage("produce"):
            positions = self._state.write()
        with self._metrics.stage("commit"):
            self._producer.commit(
                self._consumer.topic, positions, self._consumer.group_metadata(), self._keep_waiting
            )
        self._state.committed()
        for sighting in self._sightings:
            sighting.tell(self._metrics)
        self._sightings = []
        self._schedule.closed()

    def abort(self) -> None:
        """Abort the open transaction, if there is one.

        Raises:
            KafkaFatal: start the process anew.
        """
        if not self.open:
            return
        self._producer.abort(self._keep_waiting)
        self._metrics.transactions_aborted.inc()
        self._state.clear()
        self._sightings = []
        self._schedule.closed()
