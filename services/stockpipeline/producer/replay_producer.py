"""A producer that plays the past: finds out what was sent before, and sends what follows."""

from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import structlog

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.api import Topic
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.producer.frame import Frame
from stockpipeline.producer.loop import ProducerLoop
from stockpipeline.producer.resume import SentBefore
from stockpipeline.producer.share.replay import SharedReplay
from stockpipeline.producer.share.units import units
from stockpipeline.signals.state import BrokenState
from stockpipeline.sources.base import Source
from stockpipeline.sources.configured import replay_source
from stockpipeline.sources.pacing import Pacer
from stockpipeline.sources.recorded import RecordedSource

_RETRY_SECONDS = 1.0
# The speed of a recorded file where the pipeline does not name one.
_REAL_TIME = 1.0
_log = structlog.get_logger()


class ReplayProducer:
    """Sends the ticks of a replay, or of a recorded file in the place of the sources, each once over all
    restarts."""

    def __init__(self, frame: Frame, recorded: Path | None = None) -> None:
        self._frame = frame
        self._recorded = recorded
        config = frame.config
        self._servers = config.bootstrap_servers
        self._topic = config.names.topic(Topic.TICKS)
        self._state_topic = config.names.topic(Topic.STATE)
        self._calendar = SessionCalendar(config.spec.universe.exchange)
        self._symbols = config.spec.universe.symbols
        first = config.spec.sources[0]
        self._name = first.name
        # First of all, because it is what a person can get wrong.
        self._whole = self._source_of(self._symbols)
        self._pacer = Pacer(self._calendar, first.replay.speed if first.replay is not None else _REAL_TIME)

    def produce(self) -> None:
        """Wait for the topics, find out where to go on, send.

        Raises:
            KafkaFatal: Kafka refused a tick for good.
        """
        frame = self._frame
        if not frame.wait_for_topics(Topic.TICKS, Topic.STATE):
            return
        producer = KafkaProducer(self._servers, frame.client_id, self._topic)
        if frame.shared:
            with frame.beats(units(self._symbols, ())) as beats:
                SharedReplay(frame, beats, producer, self._pacer, self._source_of, self._last_numbers).run()
            return
        after = self._last_numbers(self._symbols)
        if after is None:
            return
        frame.metrics.owned_symbols.set(len(self._symbols))
        ProducerLoop(
            self._whole,
            self._pacer,
            producer,
            frame.metrics,
            frame.readiness,
            frame.heartbeat,
            frame.shutdown,
        ).run(after)

    def _source_of(self, symbols: Collection[str]) -> Source:
        config = self._frame.config
        if self._recorded is not None:
            return RecordedSource(self._name, self._recorded, symbols)
        return replay_source(config, self._calendar, symbols)

    def _last_numbers(self, symbols: Collection[str]) -> dict[str, int] | None:
        """Return what was sent of the symbols before; None when told to stop."""
        frame = self._frame
        with (
            closing(TopicReader(self._servers, frame.client_id, self._topic)) as ticks,
            closing(TopicReader(self._servers, frame.client_id, self._state_topic)) as state,
        ):
            sent_before = SentBefore(ticks, state, frame.keep_waiting, self._say_what_resumes)
            while True:
                try:
                    numbers = sent_before.last_numbers(symbols, self._name)
                except (KafkaUnavailable, BrokenState) as error:
                    frame.readiness.waiting("resume", f"cannot read what was sent before: {error}")
                    if frame.wait(_RETRY_SECONDS):
                        return None
                else:
                    frame.readiness.fine("resume")
                    _log.info("going on" if numbers else "beginning", after=numbers)
                    return numbers

    def _say_what_resumes(self, what: str) -> None:
        self._frame.readiness.waiting("resume", what)
