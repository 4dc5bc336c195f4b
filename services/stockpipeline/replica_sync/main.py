"""Wiring of a replica."""

import structlog

from stockpipeline.api import PipelineConfig, duration
from stockpipeline.replica_sync import gauges
from stockpipeline.replica_sync.loop import ReplicaLoop
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import new_registry
from stockpipeline.runtime.settings import sql_address
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.runtime.store_metrics import ReplicaMetrics
from stockpipeline.store.object_store import open_store
from stockpipeline.store.places import generations_url, replica_folder
from stockpipeline.store.pull import Puller

# The first pull of a large store is one step, and so is reading all of it.
_HEARTBEAT_SECONDS = 1800.0
_log = structlog.get_logger()


def run(config: PipelineConfig, shutdown: Shutdown) -> int:
    """Keep the replica of this machine fresh until told to stop; return the process's exit status."""
    assert config.spec.replica_sync is not None
    schedule = config.spec.replica_sync.schedule
    readiness = Readiness(["generation"])
    heartbeat = Heartbeat(_HEARTBEAT_SECONDS)
    registry = new_registry()
    metrics = ReplicaMetrics(registry, config.name)
    puller = Puller(open_store(generations_url(config)), replica_folder())
    server = StatusServer(
        registry, readiness, heartbeat, lambda: gauges.show(puller.folder, metrics, sql_address())
    )
    server.start()
    try:
        ReplicaLoop(
            puller,
            duration(schedule.pull).total_seconds(),
            duration(schedule.scrub).total_seconds(),
            metrics,
            readiness,
            heartbeat,
            shutdown,
        ).run()
    finally:
        server.stop()
    _log.info("stopped")
    return 0
