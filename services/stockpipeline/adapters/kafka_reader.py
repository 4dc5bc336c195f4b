"""Reading parts of topics outside of any consumer group: to their end, or only their tail."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stockpipeline.adapters.kafka_client import KafkaUnavailable, describe, drain, short_lived_settings

_REQUEST_SECONDS = 3.0
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0

Isolation = Literal["read_committed", "read_uncommitted"]


class TopicReader:
    """Reads ranges of offsets of one topic."""

    def __init__(
        self, bootstrap_servers: str, client_id: str, topic: str, isolation: Isolation = "read_committed"
    ) -> None:
        self.topic = topic
        settings = {
            **short_lived_settings(bootstrap_servers, client_id),
            # The library wants a group's name; this client never joins one.
            "group.id": client_id,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": 16 * 1024,
        }
        self._consumer = Consumer({**settings, "isolation.level": isolation})
        # With read_committed the broker answers with the end of what is committed. The real end is asked for
        # by a client of its own, so that a transaction that is just being committed is waited for.
        self._uncommitted = Consumer({**settings, "isolation.level": "read_uncommitted"})

    def partitions(self) -> list[int]:
        """Return the topic's partitions.

        Raises:
            KafkaUnavailable: no answer in time, or there is no such topic.
        """
        try:
            metadata = self._consumer.list_topics(timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            raise KafkaUnavailable(f"partitions of {self.topic}: {describe(error)}") from error
        if self.topic not in metadata.topics:
            raise KafkaUnavailable(f"there is no topic {self.topic}")
        return sorted(metadata.topics[self.topic].partitions)

    def range(self, partition: int) -> tuple[int, int]:
        """Return a partition's first offset and the one after its last record, uncommitted ones included.

        Raises:
            KafkaUnavailable: no answer in time.
        """
        place = TopicPartition(self.topic, partition)
        try:
            return self._uncommitted.get_watermark_offsets(place, timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            raise KafkaUnavailable(f"offsets of {self.topic}/{partition}: {describe(error)}") from error

    def read(
        self, ranges: Mapping[int, tuple[int, int]], keep_waiting: Callable[[], bool]
    ) -> Iterator[Message]:
        """Yield the messages of each partition's range [first, end) of offsets, in order within a partition.

        Where a transaction is open inside a range, it is waited for. `keep_waiting` is asked at least twice a
        second, also while messages come.

        Raises:
            KafkaUnavailable: `keep_waiting` said no, nothing came for 10 s, or a partition cannot be read.
        """
        ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
        self._consumer.assign(
            [TopicPartition(self.topic, partition, ranges[partition][0]) for partition in ends]
        )
        try:
            heard = time.monotonic()
            while ends:
                messages = drain(self._consumer, _POLL_SECONDS)
                if not keep_waiting():
                    raise KafkaUnavailable(f"gave up reading {self.topic} before its end at {ends}")
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() > heard + _PATIENCE_SECONDS:
                    raise KafkaUnavailable(
                        f"{self.topic}: nothing came for {_PATIENCE_SECONDS:.0f} s before its end at {ends}"
                    )
                for message in messages:
                    partition, reached = _position(message)
                    if message.error() is None and reached <= ends.get(partition, 0):
                        yield message
                    if reached >= ends.get(partition, 0):
                        ends.pop(partition, None)
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()
        self._uncommitted.close()


def _position(message: Message) -> tuple[int, int]:
    """Return the partition and the offset after this message; at the end of a partition, that end."""
    partition, offset, error = message.partition(), message.offset(), message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        # Such a message may belong to no partition.
        raise KafkaUnavailable(f"reading {message.topic()}/{partition} failed: {error.str()}")
    assert partition is not None
    assert offset is not None
    return partition, offset + 1 if error is None else offset
