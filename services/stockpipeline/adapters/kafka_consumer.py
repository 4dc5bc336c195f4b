"""A consumer group member that reads fast without waiting for full batches."""

from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from stockpipeline.adapters.kafka_client import (
    BrokerConnection,
    KafkaFatal,
    KafkaUnavailable,
    describe,
    reading_failed,
)
from stockpipeline.adapters.kafka_inbox import open_inbox
from stockpipeline_native import Inbox, Messages

SESSION_SECONDS = 6.0
"""When a killed member's partitions move, unless it comes again; brokers allow no less by default."""
HEARTBEAT_SECONDS = 1.5
_REQUEST_SECONDS = 3.0
# Of all partitions together, fetched and not taken yet.
_MOST_AHEAD, _MOST_AHEAD_KIB = 160_000, 64 * 1024
_LEAST_AHEAD = 2_000
MOST_AT_ONCE = 10_000
"""Messages that `drain` returns: what is done once for all of them takes as long as some hundred ticks."""

# Counted in polls and not in time: the revoke callback, which commits, may take long.
_LEAVING_POLLS, _LEAVING_POLL_SECONDS = 150, 0.02

PartitionsCallback = Callable[[list[int]], None]
_log = structlog.get_logger()


class GroupConsumer:
    """Reads one topic as a member of a consumer group, with offsets that only transactions commit.

    The name of the client is also its member's (static membership): who comes again under it within the
    session has the same partitions again, without a rebalance, and a former one of that name is fenced.

    Partitions are paused when they are assigned, until `begin`: their owner restores its state first.
    The callbacks get partition numbers and run inside `drain`.
    """

    def __init__(
        self, bootstrap_servers: str, client_id: str, group: str, topic: str, partitions: int
    ) -> None:
        self.connection = BrokerConnection(bootstrap_servers)
        self.topic = topic
        self.group = group
        # Whether the partitions were lost because this member had not been heard of for a session.
        self._session_ended = False
        self._settings = {
            **self.connection.settings(client_id),
            "group.id": group,
            "group.instance.id": client_id,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(SESSION_SECONDS * 1000),
            "heartbeat.interval.ms": int(HEARTBEAT_SECONDS * 1000),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # Also makes the client wait for offsets of a transaction that is still being committed.
            "isolation.level": "read_committed",
            # The default of 1 s stops fetching for so long each time the local queue is full.
            "fetch.queue.backoff.ms": 10,
            # A broker is asked once at a time. With half a second, partitions whose ticks all wait would
            # stand still so long behind a request for those that have none.
            "fetch.wait.max.ms": 50,
            # With less, ticks that all wait are read slower: fetching stops again and again.
            "queued.min.messages": max(_LEAST_AHEAD, _MOST_AHEAD // partitions),
            "queued.max.messages.kbytes": max(1024, _MOST_AHEAD_KIB // partitions),
        }
        self._consumer, self._inbox = self._open()
        self._join: Callable[[], None] = lambda: None

    def subscribe(
        self, on_assign: PartitionsCallback, on_revoke: PartitionsCallback, on_lost: PartitionsCallback
    ) -> None:
        """Join the group; partitions come and go through the callbacks."""

        def assigned(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self._session_ended = False
            for number in _numbers(partitions):
                self._inbox.follow(self.topic, number)
            consumer.incremental_assign(partitions)
            consumer.pause(partitions)
            on_assign(_numbers(partitions))

        def revoked(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            on_revoke(_numbers(partitions))
            consumer.incremental_unassign(partitions)

        def lost(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            # The client forgets its member's name when its session ends, and not when it is fenced.
            self._session_ended = not consumer.memberid()
            on_lost(_numbers(partitions))
            consumer.incremental_unassign(partitions)

        self._join = lambda: self._consumer.subscribe(
            [self.topic], on_assign=assigned, on_revoke=revoked, on_lost=lost
        )
        self._join()

    def drain(self, seconds: float) -> Messages:
        """Wait for a message, or a call back, at most `seconds`; return the messages that have arrived.

        Less than MOST_AT_ONCE: there is no more at the moment. Calls back come before, so all messages are
        of partitions that are still assigned. They are good until the next call.

        Raises:
            KafkaFatal: this member cannot go on.
        """
        try:
            # Messages come to the inbox; this is for calls back.
            event = self._consumer.poll(0.0)
        except KafkaException as error:
            raise KafkaFatal(f"reading {self.topic} failed: {describe(error)}") from error
        trouble = event and event.error()
        if trouble:
            try:
                reading_failed(trouble, self.topic)
            except KafkaFatal as fatal:
                if not self._session_ended:
                    raise
                self._join_anew(fatal)
        return self._inbox.take(seconds)

    def _open(self) -> tuple[Consumer, Inbox]:
        consumer = Consumer(self._settings)
        return consumer, open_inbox(consumer, MOST_AT_ONCE)

    def _join_anew(self, why: KafkaFatal) -> None:
        """Join with a new client, after the old one fenced itself.

        A static member whose session has ended goes on to send heartbeats, without its member id, until the
        lost callback has been served. Answered by a broker that is back, they are fatal to the client.
        """
        _log.warning("joining the group anew", topic=self.topic, why=str(why))
        self._inbox.close()
        self._consumer.close()
        self._session_ended = False
        self._consumer, self._inbox = self._open()
        self._join()

    def committed(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """Return the group's committed offsets, None where there is none.

        Waits for transactions that are just being committed, so that what it returns cannot change any more
        except through this member.

        Raises:
            KafkaUnavailable: no answer in time, or such a transaction is still open.
        """
        wanted = [TopicPartition(self.topic, number) for number in partitions]
        try:
            found = self._consumer.committed(wanted, timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            raise KafkaUnavailable(f"committed offsets of {self.topic}: {describe(error)}") from error
        offsets: dict[int, int | None] = {}
        for place in found:
            if place.error is not None:
                raise KafkaUnavailable(f"committed offset of {self.topic}/{place.partition}: {place.error}")
            offsets[place.partition] = place.offset if place.offset >= 0 else None
        return offsets

    def watermarks(self, partition: int) -> tuple[int, int]:
        """Ask the broker for a partition's first offset and the one after its last.

        Raises:
            KafkaUnavailable: no answer in time.
        """
        try:
            return self._consumer.get_watermark_offsets(
                TopicPartition(self.topic, partition), timeout=_REQUEST_SECONDS
            )
        except KafkaException as error:
            raise KafkaUnavailable(f"offsets of {self.topic}/{partition}: {describe(error)}") from error

    def known_end(self, partition: int) -> int:
        """Return the offset after the partition's last message as of the last fetch, negative before it.

        This does not ask the broker.
        """
        return self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)[1]

    def begin(self, partition: int, offset: int) -> None:
        """Let `drain` return the partition's messages from this offset on."""
        # Assigned anew: a seek would race with the client's own request for the committed offset.
        self._consumer.incremental_unassign([TopicPartition(self.topic, partition)])
        place = TopicPartition(self.topic, partition, offset)
        self._consumer.incremental_assign([place])
        self._consumer.resume([place])

    def halt(self, partitions: Sequence[int]) -> None:
        """Return no more messages of these partitions until `begin`, as if they were newly assigned."""
        if not partitions:
            return
        self._consumer.incremental_unassign([TopicPartition(self.topic, number) for number in partitions])
        self._consumer.incremental_assign([TopicPartition(self.topic, number) for number in partitions])
        self._consumer.pause([TopicPartition(self.topic, number) for number in partitions])

    def group_metadata(self) -> object:
        """Return what identifies this member in a transaction; it changes with every rebalance."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        """Leave the group, so that others take over at once; calls the revoke callback first."""
        # Closing alone would keep a static member in the group until its session ends.
        self._consumer.unsubscribe()
        for _ in range(_LEAVING_POLLS):
            if not self._consumer.memberid():
                break
            self._consumer.poll(_LEAVING_POLL_SECONDS)
        self._inbox.close()
        self._consumer.close()


def _numbers(partitions: Sequence[TopicPartition]) -> list[int]:
    return [place.partition for place in partitions]
