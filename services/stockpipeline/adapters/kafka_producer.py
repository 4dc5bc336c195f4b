"""A producer that loses nothing: idempotent, acknowledged by all replicas, waiting where Kafka is slow."""

from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stockpipeline.adapters.kafka_client import BrokerConnection, KafkaFatal, describe
from stockpipeline.adapters.kafka_partitioning import PARTITIONER

_QUEUE_MESSAGES = 100_000
_QUEUE_KIB = 32 * 1024
_WAIT_SECONDS = 0.1
LINGER_MS = 5
"""How long a message may wait for others to be sent with: part of every tick's delay, and what keeps the
broker from being asked for each tick alone. With 2 ms it is asked so often that all delays are longer."""
_log = structlog.get_logger()


class KafkaProducer:
    """Sends messages to one topic in order per key.

    A message that was handed over waits in a bounded queue until Kafka has it; nothing times out, so during
    an outage the queue fills and `send` waits. Messages that Kafka refuses for good count in `failures`.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        client_id: str,
        topic: str,
        *,
        queue_messages: int = _QUEUE_MESSAGES,
        queue_kib: int = _QUEUE_KIB,
    ) -> None:
        self.connection = BrokerConnection(bootstrap_servers)
        self.failures = 0
        self._topic = topic
        self._failure = ""
        settings = {
            **self.connection.settings(client_id),
            "enable.idempotence": True,
            # Stop instead of leaving a hole in a symbol's ticks; a restart goes on after the last one.
            "enable.gapless.guarantee": True,
            "acks": "all",
            "partitioner": PARTITIONER,
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "message.timeout.ms": 0,
            "queue.buffering.max.messages": queue_messages,
            "queue.buffering.max.kbytes": queue_kib,
            "delivery.report.only.error": True,
            "on_delivery": self._on_failed_delivery,
        }
        self._producer = Producer(settings)
        self._produce = self._producer.produce

    def send(self, key: str, value: bytes, keep_waiting: Callable[[], bool]) -> bool:
        """Hand one message over, waiting while the queue is full.

        `keep_waiting` is asked about ten times a second during a wait. Returns False when it said no; the
        message was not taken then.

        Raises:
            KafkaFatal: the client cannot send any more.
        """
        while True:
            try:
                self._produce(self._topic, value, key)
            except BufferError:
                self.poll(_WAIT_SECONDS)
                if not keep_waiting():
                    return False
            except KafkaException as error:
                raise KafkaFatal(f"Kafka takes no messages of {self._topic}: {describe(error)}") from error
            else:
                return True

    def offer(
        self,
        topic: str | None,
        key: str,
        value: bytes,
        headers: list[tuple[str, str | bytes | None]] | None = None,
    ) -> bool:
        """Hand one message over for a topic (None: the own one); return False where the queue is full.

        Raises:
            KafkaFatal: the client cannot send any more.
        """
        try:
            if headers is None:
                self._produce(topic or self._topic, value, key)
            else:
                self._produce(topic or self._topic, value, key, headers=headers)
        except BufferError:
            return False
        except KafkaException as error:
            raise KafkaFatal(f"Kafka takes no messages of {topic}: {describe(error)}") from error
        return True

    def poll(self, seconds: float = 0.0) -> None:
        """Serve the client's callbacks; wait for one at most `seconds`.

        Raises:
            KafkaFatal: Kafka refused a message for good.
        """
        self._producer.poll(seconds)
        if self.failures:
            raise KafkaFatal(f"Kafka refused {self.failures} messages of {self._topic}: {self._failure}")

    def flush(self, seconds: float) -> int:
        """Wait until all messages are acknowledged, at most `seconds`; return how many are not."""
        return self._producer.flush(seconds)

    def abandon(self) -> int:
        """Throw away what waits, so that nothing of it is sent any more; return how many messages that was.

        The client is of no use after that.
        """
        waiting = len(self._producer)
        self._producer.purge(in_queue=True, in_flight=True, blocking=True)
        return waiting

    def __len__(self) -> int:
        """Messages that wait for Kafka's acknowledgement."""
        return len(self._producer)

    def _on_failed_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.failures += 1
            self._failure = f"{error.name()}: {error.str()}"
