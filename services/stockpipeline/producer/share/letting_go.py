"""The end of a share: nothing of it may reach Kafka after others were told that it is free."""

import time
from collections.abc import Callable

import structlog

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.producer.share.beats import LET_GO_SECONDS

_log = structlog.get_logger()


class LettingGo:
    """Brings what was sent to Kafka, in pieces, so that the caller can go on beside it.

    While the lease lasts there is no hurry: nobody takes what is not given free. Once it is over there is:
    what Kafka has not acknowledged soon is thrown away, and the producer ends. ``waiting`` counts what has
    not even been handed to the client.
    """

    def __init__(
        self,
        producer: KafkaProducer,
        holds: Callable[[], bool],
        waiting: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer = producer
        self._holds = holds
        self._waiting = waiting
        self._clock = clock
        self._lost_at: float | None = None

    def done(self, seconds: float) -> bool:
        """Wait at most so long; return whether Kafka has acknowledged all that was sent.

        Raises:
            KafkaFatal: the lease is over and Kafka did not take what was sent in time.
        """
        if self._producer.flush(seconds) == 0 and not self._waiting():
            self._lost_at = None
            return True
        if self._holds():
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = self._clock()
        elif self._clock() - self._lost_at >= LET_GO_SECONDS:
            left = self._producer.abandon() + self._waiting()
            raise KafkaFatal(
                f"the lease is over and Kafka did not take what was sent: {left} ticks were thrown away"
            )
        return False
