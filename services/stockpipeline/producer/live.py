"""The main loop of a producer with live sources: runs them, serves Kafka's client, and ends in order."""

import asyncio
from collections.abc import Sequence

import structlog

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.producer.router import Router
from stockpipeline.producer.share.live import LiveShare
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.sources.live import LiveSource

_POLL_SECONDS = 0.02
_REVIEW_SECONDS = 1.0
_DRAIN_SECONDS = 0.2
# What a source may take to close its connections; ticks that wait for Kafka do not wait for it.
_STOP_SECONDS = 5.0
_log = structlog.get_logger()


class LiveLoop:
    """Runs live sources until told to stop."""

    def __init__(
        self,
        sources: Sequence[LiveSource],
        router: Router,
        producer: KafkaProducer,
        metrics: ProducerMetrics,
        readiness: Readiness,
        heartbeat: Heartbeat,
        shutdown: Shutdown,
        share: LiveShare | None = None,
    ) -> None:
        self._sources = sources
        self._router = router
        self._producer = producer
        self._metrics = metrics
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._shutdown = shutdown
        self._share = share

    def run(self) -> int:
        """Produce until told to stop; return how many ticks Kafka did not take within the grace period.

        Raises:
            KafkaFatal: Kafka refused a tick for good: start the process anew.
        """
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        if self._share is not None:
            await self._share.begin()
        running = [loop.create_task(source.run(self._router), name=source.name) for source in self._sources]
        next_review = loop.time()
        try:
            while not self._shutdown.requested:
                self._heartbeat.beat()
                self._producer.poll(0.0)
                self._router.outbox.drain()
                if self._share is not None:
                    await self._share.step()
                if loop.time() >= next_review:
                    next_review = loop.time() + _REVIEW_SECONDS
                    self._review(running)
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await _stop(running)
        return self._finish()

    def _review(self, running: Sequence["asyncio.Task[None]"]) -> None:
        for task in running:
            if task.done():
                task.result()
                raise RuntimeError(f"source {task.get_name()} ended by itself")
        self._router.review(self._sources)
        self._metrics.queue_messages.set(len(self._producer) + len(self._router.outbox))
        for source, count in self._router.sent.items():
            self._metrics.sent(source, count)
        self._router.sent.clear()
        self._metrics.event_time.set(self._router.event_time_ms / 1000)
        trouble = self._producer.connection.trouble
        if trouble is None:
            self._readiness.fine("kafka")
        else:
            self._readiness.waiting("kafka", trouble)

    def _finish(self) -> int:
        """Hand over what waits, as long as the grace period lasts."""
        while len(self._router.outbox) and self._shutdown.remaining_seconds() > 0.0:
            self._router.outbox.drain()
            self._producer.poll(min(_DRAIN_SECONDS, self._shutdown.remaining_seconds()))
        try:
            left = self._producer.flush(self._shutdown.remaining_seconds()) + len(self._router.outbox)
        except KafkaFatal as error:
            _log.error("Kafka refused ticks at the end", why=str(error))
            return len(self._producer)
        if self._share is not None and not left:
            self._share.end()
        if left:
            _log.warning("stopped before Kafka took all ticks; they are lost", ticks=left)
        return left


async def _stop(running: Sequence["asyncio.Task[None]"]) -> None:
    for task in running:
        task.cancel()
    _ended, late = await asyncio.wait(running, timeout=_STOP_SECONDS)
    for task in late:
        _log.warning("a source does not end", source=task.get_name(), seconds=_STOP_SECONDS)
