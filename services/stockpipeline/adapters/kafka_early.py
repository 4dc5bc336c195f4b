"""A producer whose messages are read as soon as they are sent, and that knows when Kafka has them."""

import threading
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stockpipeline.adapters.kafka_client import BrokerConnection, KafkaFatal, describe
from stockpipeline.adapters.kafka_partitioning import PARTITIONER

_WAIT_SECONDS = 0.05


class Batch:
    """Messages that were sent between two calls of ``EarlyProducer.next_batch``."""

    def __init__(self) -> None:
        self.outstanding = 0
        """How many of them Kafka has not acknowledged yet."""


class EarlyProducer:
    """Sends each message at once, in order per key; nothing times out.

    Callbacks run in whatever thread polls or waits.
    """

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self.connection = BrokerConnection(bootstrap_servers)
        self._lock = threading.Lock()
        self._batch = Batch()
        self._failure: str | None = None
        self._producer = Producer(
            {
                **self.connection.settings(client_id),
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": PARTITIONER,
                "compression.type": "lz4",
                # Enough to send the signals of one batch of ticks together.
                "linger.ms": 0.5,
                "message.timeout.ms": 0,
                "message.max.bytes": 1024 * 1024,
            }
        )

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: str | bytes | None,
        keep_waiting: Callable[[], bool],
        *,
        headers: list[tuple[str, str | bytes | None]] | None = None,
        delivered: Callable[[], None] | None = None,
    ) -> None:
        """Send a message, waiting while the client's queue is full; `delivered` is called when Kafka has it.

        Raises:
            KafkaFatal: the client cannot send any more, or `keep_waiting` said no.
        """
        batch = self._batch

        def answered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                self._failure = f"{error.name()}: {error.str()}"
                return
            with self._lock:
                batch.outstanding -= 1
            if delivered is not None:
                delivered()

        with self._lock:
            batch.outstanding += 1
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=answered)
            except BufferError:
                self.poll(_WAIT_SECONDS)
                if not keep_waiting():
                    raise KafkaFatal("asked to stop while Kafka takes no messages") from None
            except KafkaException as error:
                raise KafkaFatal(f"Kafka takes no messages of {topic}: {describe(error)}") from error
            else:
                return

    def poll(self, seconds: float = 0.0) -> None:
        """Serve the client's callbacks; wait for one at most `seconds`.

        Raises:
            KafkaFatal: Kafka refused a message for good.
        """
        self._producer.poll(seconds)
        if self._failure is not None:
            raise KafkaFatal(f"Kafka refused a message: {self._failure}")

    def next_batch(self) -> Batch:
        """Return the messages since the last call; what is sent from now on is in another batch."""
        batch, self._batch = self._batch, Batch()
        return batch

    def wait_for(self, batch: Batch, keep_waiting: Callable[[], bool]) -> None:
        """Wait until Kafka has all messages of a batch.

        Raises:
            KafkaFatal: Kafka refused one for good, or `keep_waiting` said no.
        """
        while batch.outstanding:
            self.poll(_WAIT_SECONDS)
            if not keep_waiting():
                raise KafkaFatal("asked to stop before Kafka had all messages")
