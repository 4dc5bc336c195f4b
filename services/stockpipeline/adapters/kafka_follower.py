"""Following whole topics outside of any consumer group: whoever reads keeps the offsets."""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stockpipeline.adapters.kafka_client import (
    BrokerConnection,
    KafkaFatal,
    KafkaUnavailable,
    describe,
    drain,
)

_REQUEST_SECONDS = 3.0

Place = tuple[str, int]
"""A topic and one of its partitions."""


class TopicFollower:
    """Reads committed records of any number of topics. To be used by one thread.

    Seen with another one: asked for the known ends, the client waits for a lock of its own and keeps
    Python's, while the thread that reads has the one and waits for the other.
    """

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self.connection = BrokerConnection(bootstrap_servers)
        self._positions: dict[Place, int] = {}
        self._consumer = Consumer(
            {
                **self.connection.settings(client_id),
                # The library wants a group's name; this client never joins one.
                "group.id": client_id,
                "enable.auto.commit": False,
                # An offset that is not there any more is for a person to see, not to be skipped in silence.
                "auto.offset.reset": "error",
                # The end of what is committed lies behind the last record: transactions have markers.
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 10,
                "queued.max.messages.kbytes": 16 * 1024,
            }
        )

    def watermarks(self, place: Place) -> tuple[int, int]:
        """Ask the broker for a partition's first offset and the one after its last committed record.

        Raises:
            KafkaUnavailable: no answer in time.
        """
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            raise KafkaUnavailable(f"offsets of {place[0]}/{place[1]}: {describe(error)}") from error

    def begin(self, starts: Mapping[Place, int]) -> None:
        """Let `drain` return the records of these partitions from these offsets on."""
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        self._positions = dict(starts)

    def drain(self, seconds: float) -> list[Message]:
        """Wait for a record at most `seconds`, then take what else has already arrived.

        Raises:
            KafkaFatal: a partition cannot be read on from where it was read to.
        """
        try:
            found = drain(self._consumer, seconds)
        except KafkaException as error:
            raise KafkaFatal(f"reading failed: {describe(error)}") from error
        records = []
        for message in found:
            problem = message.error()
            if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
                raise KafkaFatal(f"reading {message.topic()}/{message.partition()} failed: {problem.str()}")
            place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
            self._positions[place] = offset + 1 if problem is None else offset
            if problem is None:
                records.append(message)
        return records

    def lag(self) -> int:
        """Return how many offsets are known to lie between what was read and the ends; asks no broker."""
        return sum(
            max(0, self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1] - position)
            for place, position in self._positions.items()
        )

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()
