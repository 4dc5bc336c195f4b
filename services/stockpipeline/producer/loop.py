"""The producer's main loop: wait until a tick is due, hand it to Kafka, look after the connection."""

import time
from collections.abc import Callable, Mapping

import structlog

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.ticks import encode_tick
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.sources import Source
from stockpipeline.sources.pacing import Pacer

# Between two looks at the connection, metrics and signals; also the longest wait in one piece.
_TICKS_BETWEEN_LOOKS = 256
_WAIT_SECONDS = 0.2
_log = structlog.get_logger()


class ProducerLoop:
    """Sends all ticks of a source, then idles."""

    def __init__(
        self,
        source: Source,
        pacer: Pacer,
        producer: KafkaProducer,
        metrics: ProducerMetrics,
        readiness: Readiness,
        heartbeat: Heartbeat,
        shutdown: Shutdown,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._source = source
        self._pacer = pacer
        self._producer = producer
        self._metrics = metrics
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._shutdown = shutdown
        self._goes_on = goes_on
        self._sent = 0
        self._reported = 0
        self._event_time_ms = 0

    def run(self, after: Mapping[str, int]) -> None:
        """Send the ticks after those numbers (per symbol) until told to stop; idle when there are no more.

        Raises:
            KafkaFatal: Kafka refused a tick for good: start the process anew.
        """
        self.play(after)
        left = self._producer.flush(self._shutdown.remaining_seconds())
        if left:
            _log.warning("stopped before Kafka took all ticks; a restart sends the rest", ticks=left)

    def play(self, after: Mapping[str, int]) -> None:
        """As `run`, also until `goes_on` says no; what was sent last may still wait for Kafka."""
        self._metrics.exhausted.set(0)
        # The replay's clock leaves out what is between sessions. What comes all at once has no clock: to be
        # behind it is no trouble.
        self._metrics.session_open.set(self._pacer.keeps_time)
        started = time.monotonic()
        if self.send_all(after) and self._goes_on():
            seconds = round(time.monotonic() - started, 1)
            self._metrics.exhausted.set(1)
            self._metrics.session_open.set(0)
            _log.info("the source has no more ticks", ticks=self._sent, seconds=seconds)
        while self._look(_WAIT_SECONDS):
            pass

    def send_all(self, after: Mapping[str, int]) -> bool:
        """Send until the source has no more and all is acknowledged; return False if told to stop before."""
        send, look = self._producer.send, self._look
        keeps_time, delay_of = self._pacer.keeps_time, self._pacer.delay
        for tick in self._source.ticks(after):
            while keeps_time and (delay := delay_of(tick.ts)) > 0:
                if not look(min(delay, _WAIT_SECONDS)):
                    return False
            if not send(tick.symbol, encode_tick(tick), look):
                return False
            self._sent += 1
            self._event_time_ms = tick.ts
            if self._sent % _TICKS_BETWEEN_LOOKS == 0 and not look(0.0):
                return False
        while len(self._producer):
            if not look(_WAIT_SECONDS):
                return False
        return True

    def _look(self, seconds: float = 0.0) -> bool:
        """Wait, serving Kafka's client, and set gauges; return whether to go on."""
        self._heartbeat.beat()
        self._producer.poll(0.0)
        if seconds > 0.0:
            self._shutdown.wait(seconds)
        self._metrics.sent(self._source.name, self._sent - self._reported)
        self._reported = self._sent
        self._metrics.queue_messages.set(len(self._producer))
        self._metrics.event_time.set(self._event_time_ms / 1000)
        trouble = self._producer.connection.trouble
        if trouble is None:
            self._readiness.fine("kafka")
        else:
            self._readiness.waiting("kafka", trouble)
        return not self._shutdown.requested and self._goes_on()
