"""Records of Kafka on their way into the master, from the offsets that the master itself has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from confluent_kafka import Message

from stockpipeline.adapters.kafka_follower import Place, TopicFollower
from stockpipeline.api import PipelineNames, Topic
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.signals.signal import Signal, decode_signal
from stockpipeline.store.loads import Record
from stockpipeline.store_service.signal_traces import SignalTraces

TOPICS = (Topic.SIGNALS, Topic.PERFORMANCE)
_log = structlog.get_logger()


class TopicMadeAnew(Exception):
    """A topic ends before what was loaded from it: it is not the one that was loaded."""


@dataclass
class Batch:
    """Records that wait for one transaction."""

    signals: list[tuple[Record, Signal]] = field(default_factory=list)
    performance: list[Record] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.signals) + len(self.performance)


class Intake:
    """Reads both topics of a pipeline and gathers their records until they are taken."""

    def __init__(
        self, follower: TopicFollower, names: PipelineNames, metrics: StoreMetrics, traces: SignalTraces
    ) -> None:
        self._follower = follower
        self._names = names
        self._metrics = metrics
        self._traces = traces
        self.batch = Batch()

    def begin(self, partitions: int, loaded: Callable[[str], Mapping[int, int]]) -> None:
        """Read each partition from the offset that the master has for it, `loaded` by topic.

        Raises:
            TopicMadeAnew: see there.
            KafkaUnavailable: no answer in time.
        """
        starts: dict[Place, int] = {}
        for topic in TOPICS:
            name = self._names.topic(topic)
            known = loaded(name)
            for partition in range(partitions):
                first, end = self._follower.watermarks((name, partition))
                start = first_offset(f"{name}/{partition}", known.get(partition), first, end)
                if known.get(partition) is not None and start > known[partition]:
                    lost = start - known[partition]
                    self._metrics.lost.inc(lost)
                    _log.error("records were deleted before they were loaded", topic=name, offsets=lost)
                starts[name, partition] = start
        self._follower.begin(starts)

    @property
    def trouble(self) -> str | None:
        """Why no broker can be reached, None while one is connected."""
        return self._follower.connection.trouble

    @property
    def lag(self) -> int:
        """How many offsets are known to lie between what is committed in the master and the topics' ends."""
        return self._follower.lag() + len(self.batch)

    def gather(self, seconds: float) -> None:
        """Wait for records at most so long, and add what there is to the batch.

        Raises:
            KafkaFatal: a topic cannot be read on.
        """
        for message in self._follower.drain(seconds):
            self._add(message)

    def taken(self) -> None:
        """Begin a new batch: this one is committed."""
        self.batch = Batch()

    def _add(self, message: Message) -> None:
        value, key = message.value(), message.key()
        if value is None:  # a tombstone
            return
        record = Record(
            message.partition() or 0,
            message.offset() or 0,
            key.decode(errors="replace") if isinstance(key, bytes) else str(key or ""),
            value,
            message.timestamp()[1],
        )
        of_signals = message.topic() == self._names.topic(Topic.SIGNALS)
        try:
            if of_signals:
                signal = decode_signal(value)
                datetime.fromisoformat(signal.bar)
                self.batch.signals.append((record, signal))
                self._traces.read(message)
            else:
                value.decode()
                self.batch.performance.append(record)
        except ValueError as error:
            # Only detectors write there. Whoever else did gets no row, and does not stop the others'.
            self._metrics.refused(Topic.SIGNALS.value if of_signals else Topic.PERFORMANCE.value)
            _log.error(
                "a record is not what its topic should have, and is left out",
                topic=message.topic(),
                partition=record.partition,
                offset=record.offset,
                why=str(error),
            )


def first_offset(where: str, loaded: int | None, first: int, end: int) -> int:
    """Return where to read on in a partition with the offsets [first, end), of which `loaded` is the next.

    Raises:
        TopicMadeAnew: it ends before that.
    """
    if loaded is None:
        return first
    if loaded > end:
        raise TopicMadeAnew(
            f"{where} ends at offset {end}, but the master has loaded it up to {loaded}: the topic was "
            "deleted and made anew, or went back. Bring it back, or give the store up (delete its volume): a "
            "new one loads what the topics have"
        )
    return max(loaded, first)
