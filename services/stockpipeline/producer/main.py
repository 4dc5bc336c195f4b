"""Wiring of the producer."""

from contextlib import closing

import structlog

from stockpipeline.adapters.kafka_client import KafkaFatal, KafkaUnavailable
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_topics import TopicCatalog, wait_for_topics
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.producer.loop import ProducerLoop
from stockpipeline.producer.resume import SentBefore
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import ProducerMetrics, new_registry
from stockpipeline.runtime.settings import instance_name
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.signals.state import BrokenState
from stockpipeline.sources.configured import replay_source
from stockpipeline.sources.pacing import Pacer

_RETRY_SECONDS = 1.0
_log = structlog.get_logger()


def run(config: PipelineConfig, shutdown: Shutdown) -> int:
    """Produce until told to stop; return the process's exit status.

    Raises:
        NoReplay: the source is of another kind.
        UnknownPackagedSymbol: the source has no data of a symbol.
    """
    return _Producer(config, shutdown).run()


class _Producer:
    """The parts of one producer, put together."""

    def __init__(self, config: PipelineConfig, shutdown: Shutdown) -> None:
        self._servers = config.bootstrap_servers
        self._topic = config.names.topic(Topic.TICKS)
        self._state_topic = config.names.topic(Topic.STATE)
        self._client_id = f"{config.names.prefix}.producer.{instance_name()}"
        self._symbols = config.spec.universe.symbols
        # First of all, because it is what a person can get wrong.
        calendar = SessionCalendar(config.spec.universe.exchange)
        self._source = replay_source(config, calendar)
        replay = config.spec.sources[0].replay
        assert replay is not None
        self._pacer = Pacer(calendar, replay.speed)
        self._shutdown = shutdown
        self._readiness = Readiness(["kafka", "resume"])
        self._heartbeat = Heartbeat()
        registry = new_registry()
        self._metrics = ProducerMetrics(registry, config.name, self._source.name)
        self._server = StatusServer(registry, self._readiness, self._heartbeat)

    def run(self) -> int:
        """Serve, wait for the topic, find out where to go on, send."""
        self._server.start()
        try:
            self._produce()
        except KafkaFatal as error:
            self._metrics.delivery_failures.inc()
            _log.error("the producer cannot go on and ends", why=str(error))
            return 1
        finally:
            self._server.stop()
        _log.info("stopped")
        return 0

    def _produce(self) -> None:
        catalog = TopicCatalog(self._servers, self._client_id)
        if wait_for_topics(catalog, [self._topic, self._state_topic], self._readiness, self._wait) is None:
            return
        after = self._last_numbers()
        if after is None:
            return
        _log.info("going on" if after else "beginning", after=after)
        ProducerLoop(
            self._source,
            self._pacer,
            KafkaProducer(self._servers, self._client_id, self._topic),
            self._metrics,
            self._readiness,
            self._heartbeat,
            self._shutdown,
        ).run(after)

    def _last_numbers(self) -> dict[str, int] | None:
        """Return what was sent before; None when told to stop."""
        with (
            closing(TopicReader(self._servers, self._client_id, self._topic)) as ticks,
            closing(TopicReader(self._servers, self._client_id, self._state_topic)) as state,
        ):
            sent_before = SentBefore(ticks, state, self._keep_waiting, self._say_what_resumes)
            while True:
                try:
                    numbers = sent_before.last_numbers(self._symbols, self._source.name)
                except (KafkaUnavailable, BrokenState) as error:
                    self._readiness.waiting("resume", f"cannot read what was sent before: {error}")
                    if self._wait(_RETRY_SECONDS):
                        return None
                else:
                    self._readiness.fine("resume")
                    return numbers

    def _say_what_resumes(self, what: str) -> None:
        self._readiness.waiting("resume", what)

    def _wait(self, seconds: float) -> bool:
        self._heartbeat.beat()
        return self._shutdown.wait(seconds)

    def _keep_waiting(self) -> bool:
        self._heartbeat.beat()
        return not self._shutdown.requested
