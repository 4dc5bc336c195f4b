"""A transactional producer: messages and consumed offsets that become visible together or not at all."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stockpipeline.adapters.kafka_client import (
    BrokerConnection,
    KafkaFailure,
    KafkaFatal,
    describe,
    kafka_error,
)
from stockpipeline.adapters.kafka_partitioning import PARTITIONER
from stockpipeline.runtime.background import in_background

# A transaction lasts about 100 ms. One whose owner died holds up readers this long, unless a client with the
# same id comes first; brokers look for such transactions every 10 s.
_TRANSACTION_TIMEOUT_MS = 15_000
_REQUEST_SECONDS = 5.0
_WAIT_SECONDS = 0.1
_LOOK_SECONDS = 0.5
# Longer than any rebalance or election. Requests that are not answered by then, or still with "try again",
# are stuck in the client (as in librdkafka issue 5511), and a new process gets on.
_STUCK_SECONDS = 60.0
# A message is at the broker within milliseconds, unless its transaction has failed already.
_FIRST_DELIVERY_SECONDS = 1.0

KeepWaiting = Callable[[], bool]


class TransactionFailed(KafkaFailure):
    """The open transaction must be aborted; its messages and offsets never were."""


class TransactionalProducer:
    """Produces in transactions that also carry the offsets of a consumer.

    Calls that wait for a broker ask `keep_waiting` every few seconds and give up with KafkaFatal when it says
    no, or when a broker has been connected for a minute and the request is still not done: the outcome is
    unknown then, and only a new client with the same id may go on.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        client_id: str,
        transactional_id: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = BrokerConnection(bootstrap_servers)
        self._clock = clock
        # Of the open transaction: whether a message was sent, and whether the coordinator surely knows of it.
        self._sent = False
        self._known = False
        self._producer = Producer(
            {
                **self.connection.settings(client_id),
                "transactional.id": transactional_id,
                "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
                # The default ("rebootstrap") forgets brokers that are all down, but not that one of them was
                # the group's coordinator: sending offsets hangs for good then (librdkafka issue 5511, 2.16).
                "metadata.recovery.strategy": "none",
                "partitioner": PARTITIONER,
                "compression.type": "lz4",
                "linger.ms": 1,
                # Room for a dead letter: a message of the default limit and the headers that explain it.
                "message.max.bytes": 1024 * 1024,
            }
        )

    def init(self, keep_waiting: KeepWaiting) -> None:
        """Get ready for transactions; ends any transaction that an earlier client with this id left open."""
        self._until_done(lambda: self._producer.init_transactions(_REQUEST_SECONDS), keep_waiting)

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            KafkaFatal: this client was fenced.
        """
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise _classified(error) from error
        self._sent = self._known = False

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: str | bytes | None,
        keep_waiting: KeepWaiting,
        *,
        partition: int = -1,
        headers: list[tuple[str, str | bytes | None]] | None = None,
    ) -> None:
        """Add a message to the open transaction, waiting while the client's queue is full.

        Raises:
            TransactionFailed: the transaction must be aborted.
            KafkaFatal: this client was fenced, or `keep_waiting` said no.
        """
        # A call for each message would cost more than it tells.
        first = None if self._sent else self._delivered
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=first, headers=headers)
            except BufferError:
                self._producer.poll(_WAIT_SECONDS)
                if not keep_waiting():
                    raise KafkaFatal("asked to stop while Kafka takes no messages") from None
            except KafkaException as error:
                raise _classified(error) from error
            else:
                self._sent = True
                return

    def commit(
        self, topic: str, offsets: Mapping[int, int], group_metadata: object, keep_waiting: KeepWaiting
    ) -> None:
        """Commit the open transaction together with the consumer's offsets (partition → next offset).

        Raises:
            TransactionFailed: the transaction must be aborted.
            KafkaFatal: this client was fenced, or `keep_waiting` said no.
        """
        places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        self._until_done(
            lambda: self._producer.send_offsets_to_transaction(places, group_metadata, _REQUEST_SECONDS),
            keep_waiting,
        )
        self._until_done(lambda: self._producer.commit_transaction(_REQUEST_SECONDS), keep_waiting)

    def abort(self, keep_waiting: KeepWaiting) -> None:
        """Abort the open transaction.

        Raises:
            KafkaFatal: this client was fenced, or `keep_waiting` said no.
        """
        self._await_first_delivery()
        self._until_done(lambda: self._producer.abort_transaction(_REQUEST_SECONDS), keep_waiting)

    def poll(self) -> None:
        """Serve the client's callbacks."""
        self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._known = error is None

    def _await_first_delivery(self) -> None:
        """Wait until the coordinator knows of the open transaction.

        While it still ends the transaction before, it lets the client try again to register a partition. An
        abort does not wait for that, and the answer that no transaction is open would be fatal to the client
        (librdkafka issue 4849). That a message was delivered proves the registration.
        """
        until = self._clock() + _FIRST_DELIVERY_SECONDS
        while self._sent and not self._known and len(self._producer) and self._clock() < until:
            self._producer.poll(_WAIT_SECONDS)

    def _until_done(self, request: Callable[[], None], keep_waiting: KeepWaiting) -> None:
        """Make a request that may be repeated, until it is done.

        In the background: while the group's coordinator is down, librdkafka does not keep the time that a
        request may take (its issue 5456), and the caller must be heard of meanwhile.
        """
        stuck_since = self._clock()
        answer: Future[None] | None = None
        while True:
            answer = answer or in_background(request)
            try:
                return answer.result(_LOOK_SECONDS)
            except TimeoutError:
                why = "no answer"
            except KafkaException as error:
                cause = kafka_error(error)
                if cause is None or cause.fatal() or cause.txn_requires_abort() or not cause.retriable():
                    raise _classified(error) from error
                why = describe(error)
                answer = None
            self._producer.poll(0)
            if not keep_waiting():
                raise KafkaFatal(f"asked to stop during a transaction: {why}")
            if self.connection.trouble is not None:
                stuck_since = self._clock()
            elif self._clock() > stuck_since + _STUCK_SECONDS:
                raise KafkaFatal(
                    f"a transaction has been stuck for {_STUCK_SECONDS:.0f} s although a broker is "
                    f"connected: {why}"
                )


def _classified(error: KafkaException) -> KafkaFailure:
    cause = kafka_error(error)
    if cause is None or cause.fatal():
        return KafkaFatal(describe(error))
    # _STATE: the transaction failed in the background, and this request was only the first to hear of it. If
    # the client is beyond help instead, the abort says so.
    if cause.txn_requires_abort() or cause.code() == KafkaError._STATE:
        return TransactionFailed(describe(error))
    return KafkaFatal(describe(error))
