"""Wiring of the store."""

import structlog

from stockpipeline.adapters.kafka_client import KafkaFatal, KafkaUnavailable
from stockpipeline.adapters.kafka_follower import TopicFollower
from stockpipeline.adapters.kafka_topics import TopicCatalog, wait_for_topics
from stockpipeline.api import PipelineConfig, duration
from stockpipeline.api.spec.store import ReplicaSync
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import new_registry
from stockpipeline.runtime.settings import instance_name
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.errors import MasterBusy, MasterUnusable
from stockpipeline.store.places import generations_url, master_file
from stockpipeline.store.retention import Retention
from stockpipeline.store.writer import Writer
from stockpipeline.store_service.intake import TOPICS, Intake, TopicMadeAnew
from stockpipeline.store_service.loop import StoreLoop
from stockpipeline.store_service.publisher import PublisherProcess
from stockpipeline.store_service.publisher_process import Assignment
from stockpipeline.store_service.run_figures import show_newest_run
from stockpipeline.store_service.signal_traces import SignalTraces

_RETRY_SECONDS = 2.0
# A commit of many rows into a large master, on a slow disk.
_HEARTBEAT_SECONDS = 300.0
_log = structlog.get_logger()


def run(config: PipelineConfig, shutdown: Shutdown) -> int:
    """Load and publish until told to stop; return the process's exit status."""
    store = config.spec.store
    assert store is not None
    readiness = Readiness(["kafka", "master", *(["publish"] if config.spec.replica_sync else [])])
    heartbeat = Heartbeat(_HEARTBEAT_SECONDS)
    registry = new_registry()
    metrics = StoreMetrics(registry, config.name)
    follower = TopicFollower(config.bootstrap_servers, f"{config.names.prefix}.store.{instance_name()}")
    publishes = config.spec.replica_sync is not None
    traces = SignalTraces(publishes=publishes)
    intake = Intake(follower, config.names, metrics, traces)
    loop = StoreLoop(
        master_file(),
        config.names.topic,
        intake,
        _publisher(config),
        publishes,
        store.history,
        _interval(config),
        metrics,
        traces,
        readiness,
        heartbeat,
        shutdown,
    )

    server = StatusServer(registry, readiness, heartbeat, loop.measure)
    server.start()
    try:
        if _prepare(config, intake, metrics, readiness, heartbeat, shutdown):
            loop.run()
    except (KafkaFatal, MasterUnusable) as error:
        _log.error("the store cannot go on and ends", why=str(error))
        return 1
    finally:
        server.stop()
        follower.close()
    _log.info("stopped")
    return 0


def _prepare(
    config: PipelineConfig,
    intake: Intake,
    metrics: StoreMetrics,
    readiness: Readiness,
    heartbeat: Heartbeat,
    shutdown: Shutdown,
) -> bool:
    """Open the master, and read on where it ends; False when told to stop before that is done."""

    def wait(seconds: float) -> bool:
        heartbeat.beat()
        return shutdown.wait(seconds)

    master = master_file()
    master.parent.mkdir(parents=True, exist_ok=True)
    offsets: dict[str, dict[int, int]] | None = None
    while offsets is None:
        try:
            offsets = _open(config, metrics)
            readiness.fine("master")
        except MasterBusy as error:  # a publisher that outlived its writer
            readiness.waiting("master", str(error))
            if wait(_RETRY_SECONDS):
                return False
    catalog = TopicCatalog(config.bootstrap_servers, f"{config.names.prefix}.store")
    partitions = wait_for_topics(catalog, [config.names.topic(topic) for topic in TOPICS], readiness, wait)
    while partitions is not None:
        try:
            intake.begin(partitions, lambda topic: offsets[topic])
            readiness.fine("kafka")
            return True
        except (KafkaUnavailable, TopicMadeAnew) as error:
            readiness.waiting("kafka", str(error))
            if wait(_RETRY_SECONDS):
                return False
    return False


def _open(config: PipelineConfig, metrics: StoreMetrics) -> dict[str, dict[int, int]]:
    """Recover or make the master, so that replicas have something to begin with; return its offsets."""
    with Writer(master_file(), patience_seconds=1.0) as writer:
        if writer.last_commit() is None:
            with writer.transaction("made", always=True):
                pass
        show_newest_run(writer, metrics)
        return {name: writer.offsets(name) for name in map(config.names.topic, TOPICS)}


def _publisher(config: PipelineConfig) -> PublisherProcess:
    sync = config.spec.replica_sync or ReplicaSync()
    return PublisherProcess(
        Assignment(
            master=str(master_file()),
            store=generations_url(config),
            writer=instance_name(),
            retention=Retention(
                hours=duration(sync.retention.all).total_seconds() / 3600,
                days=sync.retention.daily,
                months=sync.retention.monthly,
            ),
        )
    )


def _interval(config: PipelineConfig) -> float:
    sync = config.spec.replica_sync or ReplicaSync()
    return duration(sync.schedule.publish).total_seconds()
