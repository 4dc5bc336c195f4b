"""Starts the operator: `stockpipeline-operator`. Wiring only."""

import logging
import os
import sys
from pathlib import Path

import kopf

from stockpipeline.runtime import logs
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import new_registry
from stockpipeline_operator.controller import handlers
from stockpipeline_operator.controller.resync import CHECK, Resync
from stockpipeline_operator.controller.work_queue import WorkQueue
from stockpipeline_operator.controller.workers import Workers
from stockpipeline_operator.helm.chart import PipelineChart
from stockpipeline_operator.helm.releases import HelmReleases
from stockpipeline_operator.kafka_topics import KafkaTopics
from stockpipeline_operator.kube.client import KubeClient
from stockpipeline_operator.kube.credentials import NoCluster, connection
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.events import Events
from stockpipeline_operator.reconcile.reconciler import Key, Reconciler
from stockpipeline_operator.reconcile.work import Tools
from stockpipeline_operator.settings import Settings, SettingsError

PROGRAM = "stockpipeline-operator"
# More than the slowest pass: a Kafka and an API server that do not answer, each to its timeout.
_HEARTBEAT_SECONDS = 120.0


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    _take_name()
    logs.configure(component="operator")
    # One line for each event of each watch; what they lead to is logged where it is done.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment()
        info = connection()
    except (SettingsError, NoCluster) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    run(settings, info)
    return 0


def run(settings: Settings, info: kopf.ConnectionInfo) -> None:
    """Run with these settings against the cluster that `info` names."""
    registry = new_registry()
    metrics = OperatorMetrics(registry)
    client = KubeClient(info, connections=settings.workers + 1)
    chart = PipelineChart(settings.chart)
    releases = HelmReleases(chart, metrics.helm_operation)
    tools = Tools(client, releases, chart, KafkaTopics(), Events(client), metrics)
    reconciler = Reconciler(settings, tools)
    queue: WorkQueue[Key] = WorkQueue()
    readiness, heartbeat = Readiness([CHECK]), Heartbeat(_HEARTBEAT_SECONDS)
    metrics.queue_depth.set_function(lambda: len(queue))
    server = StatusServer(
        registry, readiness, heartbeat, lambda: metrics.show_pipelines(reconciler.condition_statuses())
    )
    workers = Workers(settings.workers, queue, reconciler.reconcile, metrics, heartbeat)
    resync = Resync(client, queue, readiness, settings.namespaces, settings.resync_seconds)

    server.start()
    workers.start()
    resync.start()
    try:
        kopf.run(
            registry=handlers.registry(queue),
            settings=handlers.settings(settings.namespaces),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    finally:
        resync.stop()
        workers.stop()
        server.stop()


def _take_name() -> None:
    """Start again under the program's own name, where the interpreter was called by another.

    Helm signs the fields that it owns (managedFields) with the name a program is called by. It must not be
    the name of a Python interpreter: another interpreter would be a second owner of every field.
    """
    if Path(sys.orig_argv[0]).name != PROGRAM:
        name = Path(sys.executable).with_name(PROGRAM)
        os.execv(sys.executable, [str(name), "-m", "stockpipeline_operator.main", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    raise SystemExit(main())
