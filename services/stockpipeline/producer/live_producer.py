"""A producer with live sources: finds out what was sent last, connects, and routes what comes."""

from collections.abc import Collection
from contextlib import ExitStack, closing
from pathlib import Path

import structlog

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.api import Topic
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.producer.event_times import newest_event_times
from stockpipeline.producer.frame import Frame
from stockpipeline.producer.live import LiveLoop
from stockpipeline.producer.recorder import Recorder
from stockpipeline.producer.router import Router, always, wall_ms
from stockpipeline.producer.share.live import LiveShare
from stockpipeline.producer.share.units import units
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.chain import Chain
from stockpipeline.sources.configured_live import live_sources, source_terms
from stockpipeline.sources.kis.credentials import NoCredentials
from stockpipeline.sources.session_kind import SessionKind

_RETRY_SECONDS = 1.0
# A minute at 5,000 ticks a second, and a third more; a tick with its key and the client's record of it takes
# about 400 bytes.
QUEUE_MESSAGES = 400_000
QUEUE_KIB = 96 * 1024
_log = structlog.get_logger()


class LiveProducer:
    """Sends what live sources give, through the fallback chain."""

    def __init__(self, frame: Frame, record: Path | None) -> None:
        self._frame = frame
        self._record = record
        self._calendar = SessionCalendar(frame.config.spec.universe.exchange)
        self._session_kind = SessionKind(self._calendar)
        self._metrics = SourceMetrics(frame.registry, frame.config.name)
        self._symbols = frame.config.spec.universe.symbols
        frame.metrics.session_open.set_function(lambda: self._calendar.session_of(wall_ms()) is not None)

    def produce(self) -> None:
        """Wait for topics and Secrets, find out what was sent last, produce.

        Raises:
            KafkaFatal: Kafka refused a tick for good.
        """
        frame, config = self._frame, self._frame.config
        if not frame.wait_for_topics(Topic.TICKS, Topic.DEAD_LETTER):
            return
        while True:
            try:
                sources = live_sources(config, self._symbols, self._session_kind, self._metrics)
                # Whoever shares reads it for what it takes, when it does.
                last = {} if frame.shared else self._last_event_times(self._symbols)
            except (NoCredentials, KafkaUnavailable) as error:
                frame.readiness.waiting("resume", str(error))
                if frame.wait(_RETRY_SECONDS):
                    return
            else:
                break
        frame.readiness.fine("resume")
        frame.metrics.owned_symbols.set(len(self._symbols))
        chain = Chain(self._symbols, source_terms(config), self._calendar.trading_ms, wall_ms())
        chain.resume(last)
        producer = KafkaProducer(
            config.bootstrap_servers,
            frame.client_id,
            config.names.topic(Topic.TICKS),
            queue_messages=QUEUE_MESSAGES,
            queue_kib=QUEUE_KIB,
        )
        with ExitStack() as stack:
            recorder = stack.enter_context(Recorder(self._record)) if self._record is not None else None
            may_send, beats = always, None
            if frame.shared:
                groups = [group for source in sources for group in source.groups()]
                beats = stack.enter_context(frame.beats(units(self._symbols, groups)))
                may_send = beats.holds
            dead_letters = config.names.topic(Topic.DEAD_LETTER)
            router = Router(chain, producer, dead_letters, self._metrics, recorder, may_send=may_send)
            share = None
            if beats is not None:
                owned, waits = frame.metrics.owned_symbols.set, router.outbox.__len__
                share = LiveShare(beats, sources, chain, producer, waits, self._last_event_times, owned)
            LiveLoop(
                sources,
                router,
                producer,
                frame.metrics,
                frame.readiness,
                frame.heartbeat,
                frame.shutdown,
                share,
            ).run()

    def _last_event_times(self, symbols: Collection[str]) -> dict[str, int]:
        config, frame = self._frame.config, self._frame
        topic = config.names.topic(Topic.TICKS)
        with closing(TopicReader(config.bootstrap_servers, frame.client_id, topic)) as reader:
            return newest_event_times(reader, set(symbols), wall_ms(), frame.keep_waiting)
