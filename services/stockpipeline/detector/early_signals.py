"""At least once: signals and dead letters are sent at once, state and offsets follow as one transaction.

The transaction is only committed when Kafka has acknowledged all signals of the ticks that it covers, so none
is lost. After a failure the ticks since the last commit are taken again and give the same signals, with the
same ids, a second time. Commits run in a thread of their own and hold up neither ticks nor signals. What they
write is gathered in the main loop, a few symbols at a time between which ticks are taken, so that no signal
is held up for long (but all at once while a detector is far behind: the sooner it catches up).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as futures_wait
from contextlib import suppress

from confluent_kafka import Message

from stockpipeline.adapters.dead_letter import dead_letter
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.adapters.kafka_early import Batch, EarlyProducer
from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer, TransactionFailed
from stockpipeline.api import PipelineNames, Topic
from stockpipeline.detector.schedule import CommitSchedule
from stockpipeline.detector.state_writer import StateWriter
from stockpipeline.detector.visible import Sighting
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.signal import Signal, encode_signal

# How often to look for the end of a commit while no ticks come.
_COMMIT_LOOK_SECONDS = 0.01
_HEARTBEAT_SECONDS = 0.5
# Writing the state of one takes some 50 µs on a busy machine. The pauses leave it to broker and producers.
_SYMBOLS_AT_ONCE = 10
_SECONDS_BETWEEN = 0.005


class EarlySignals:
    """Signals on their way, and what of state and offsets is not committed yet; a ``Delivery``.

    `keep_waiting` is asked in the thread of the main loop, `keep_committing` in that of the commits.
    """

    def __init__(
        self,
        early: EarlyProducer,
        producer: TransactionalProducer,
        consumer: GroupConsumer,
        names: PipelineNames,
        metrics: DetectorMetrics,
        state: StateWriter,
        schedule: CommitSchedule,
        keep_waiting: KeepWaiting,
        keep_committing: KeepWaiting,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._early = early
        self._producer = producer
        self._consumer = consumer
        self._metrics = metrics
        self._state = state
        self._schedule = schedule
        self._keep_waiting = keep_waiting
        self._keep_committing = keep_committing
        self._clock = clock
        self._signals_topic = names.topic(Topic.SIGNALS)
        self._dead_letter_topic = names.topic(Topic.DEAD_LETTER)
        self._background = ThreadPoolExecutor(1, "commit")
        self._committing: Future[None] | None = None
        self._transaction_open = False
        self._positions: dict[int, int] = {}
        """What the open transaction has been given of offsets so far."""
        self._parts: Iterator[dict[int, int]] | None = None
        """Writes the rest of it, the next part at `_next_part`."""
        self._next_part = 0.0
        self._far_behind = False

    @property
    def open(self) -> bool:
        """Whether there are ticks whose state is not committed."""
        return self._schedule.is_open or self._parts is not None or self._committing is not None

    def poll(self) -> None:
        """Serve callbacks; notice the end of a commit.

        Raises:
            TransactionFailed: the commit failed.
            KafkaFatal: start the process anew.
        """
        self._early.poll()
        self._producer.poll()
        if self._committing is not None and self._committing.done():
            self._commit_ended()

    def begin(self) -> None:
        """Expect results."""
        if not self._schedule.is_open:
            self._schedule.opened()

    def add_signal(self, signal: Signal, tick: Message) -> None:
        """Send a signal; it is told of when Kafka has it."""
        sighting = Sighting(signal, tick)
        self._early.send(
            self._signals_topic,
            encode_signal(signal),
            signal.symbol,
            self._keep_waiting,
            headers=sighting.headers,
            delivered=lambda: sighting.tell(self._metrics),
        )

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        """Send a message that is no tick to the dead-letter topic."""
        letter = dead_letter(message, reason, explanation)
        self._early.send(
            self._dead_letter_topic, letter.value, letter.key, self._keep_waiting, headers=letter.headers
        )

    def changed(self, symbols: Iterable[str]) -> None:
        """Note that the state of these symbols changed; it is written once, at the commit."""
        self._state.changed(symbols)

    def processed(self, positions: Mapping[int, int]) -> None:
        """Note up to where ticks are processed: partition → next offset."""
        self._state.processed(positions)

    def is_due(self, *, caught_up: bool, far_behind: bool) -> bool:
        """Whether to write now what a commit is to have, or the next part of that: one commit at a time."""
        self._far_behind = far_behind
        if self._parts is not None:
            return self._clock() >= self._next_part
        due = self._schedule.is_due(caught_up=caught_up, far_behind=far_behind)
        return self._committing is None and due

    def seconds_left(self) -> float:
        """Seconds to wait for more ticks, at most, before asking again."""
        if self._parts is not None:
            return max(0.0, self._next_part - self._clock())
        left = self._schedule.seconds_left()
        return left if self._committing is None else max(left, _COMMIT_LOOK_SECONDS)

    def commit(self, *, wait: bool) -> None:
        """Write the next part of what there is, and commit after the last one; or `wait` for all of it.

        Raises:
            TransactionFailed: give up, go back to the committed offsets and restore.
            KafkaFatal: start the process anew.
        """
        if wait:
            self._await_commit()
            if self.open:
                self._parts = None
                self._schedule.closed()
                self._write_all()
                self._await_commit()
            return
        if self._parts is None:
            self._schedule.closed()
            if self._state.empty:
                return
            if self._far_behind:
                self._write_all()
                return
            self._parts = self._state.parts(_SYMBOLS_AT_ONCE)
        self._begin_transaction()
        with self._metrics.stage("produce"):
            complete = next(self._parts, None)
        if complete is None:
            self._parts = None
            self._begin_commit()
        else:
            self._positions |= complete
            self._next_part = self._clock() + _SECONDS_BETWEEN

    def abort(self) -> None:
        """Give up what is not committed; signals that were sent stay sent.

        Raises:
            KafkaFatal: start the process anew.
        """
        if self._committing is not None:
            # That it failed may be why it is given up.
            with suppress(TransactionFailed):
                self._await_commit()
        if self._transaction_open:
            self._producer.abort(self._keep_waiting)
            self._transaction_open = False
        self._metrics.transactions_aborted.inc()
        self._state.clear()
        self._positions = {}
        self._parts = None
        self._schedule.closed()

    def _begin_transaction(self) -> None:
        if not self._transaction_open:
            self._producer.begin()
            self._transaction_open = True

    def _write_all(self) -> None:
        """Write all that is left, and have it committed."""
        self._begin_transaction()
        with self._metrics.stage("produce"):
            self._positions |= self._state.write()
        self._begin_commit()

    def _begin_commit(self) -> None:
        """Have the transaction committed."""
        positions, self._positions = self._positions, {}
        self._committing = self._background.submit(
            self._commit, self._early.next_batch(), positions, self._consumer.group_metadata()
        )

    def _commit(self, signals: Batch, positions: dict[int, int], group_metadata: object) -> None:
        """Wait for the signals, then commit; in the thread of the commits."""
        with self._metrics.stage("commit"):
            self._early.wait_for(signals, self._keep_committing)
            self._producer.commit(self._consumer.topic, positions, group_metadata, self._keep_committing)

    def _await_commit(self) -> None:
        if self._committing is None:
            return
        while not self._committing.done():
            futures_wait([self._committing], _HEARTBEAT_SECONDS)
            # The commit itself knows when to give up; this keeps the heartbeat.
            self._keep_waiting()
        self._commit_ended()

    def _commit_ended(self) -> None:
        committing, self._committing = self._committing, None
        assert committing is not None
        committing.result()
        self._transaction_open = False
        self._state.committed()
