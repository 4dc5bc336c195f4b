"""Wiring of the producer."""

from pathlib import Path

import structlog

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.api import PipelineConfig
from stockpipeline.producer.frame import Frame
from stockpipeline.producer.live_producer import LiveProducer
from stockpipeline.producer.replay_producer import ReplayProducer
from stockpipeline.producer.share.beats import CHECK
from stockpipeline.runtime.health import Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import ProducerMetrics, new_registry
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.sources.configured_live import is_live

_log = structlog.get_logger()


def run(
    config: PipelineConfig,
    shutdown: Shutdown,
    record: Path | None = None,
    recorded: Path | None = None,
    shared: bool = False,
) -> int:
    """Produce until told to stop; return the process's exit status.

    ``record`` is a file that the ticks of live sources are also written to, ``recorded`` one that is played
    in the place of the sources. ``shared``: other producers of the pipeline send a part of the symbols.

    Raises:
        UnknownPackagedSymbol: a replay has no data of a symbol.
        BadFile: the recorded file cannot be read.
        UnknownExchange: a live source does not have the pipeline's exchange.
    """
    registry = new_registry()
    readiness = Readiness(["kafka", "resume", *([CHECK] if shared else [])])
    metrics = ProducerMetrics(registry, config.name)
    frame = Frame(config, shutdown, registry, readiness, metrics, shared=shared)
    # First of all, because it is what a person can get wrong.
    producer = (
        LiveProducer(frame, record)
        if is_live(config) and recorded is None
        else ReplayProducer(frame, recorded)
    )
    server = StatusServer(registry, readiness, frame.heartbeat)
    server.start()
    try:
        producer.produce()
    except KafkaFatal as error:
        frame.metrics.delivery_failures.inc()
        _log.error("the producer cannot go on and ends", why=str(error))
        return 1
    finally:
        server.stop()
    _log.info("stopped")
    return 0
