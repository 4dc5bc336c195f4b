"""Starts the operator: `stockpipeline-operator`; with `let-go`, only ends its work. Wiring only."""

import logging
import os
import signal
import sys
import threading
import uuid

import kopf
import structlog

from stockpipeline.runtime import logs, tracing
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import new_registry
from stockpipeline.runtime.settings import BadSetting, instance_name
from stockpipeline_operator.batch_metrics import BatchMetrics
from stockpipeline_operator.controller import handlers
from stockpipeline_operator.controller.owned_watch import OwnedWatch
from stockpipeline_operator.controller.resync import CHECK, Resync
from stockpipeline_operator.controller.work_queue import WorkQueue
from stockpipeline_operator.controller.workers import Workers
from stockpipeline_operator.feed import readings, replicas
from stockpipeline_operator.feed.probe import FeedProbe
from stockpipeline_operator.helm.chart import PipelineChart
from stockpipeline_operator.helm.releases import HelmReleases
from stockpipeline_operator.kafka_topics import KafkaTopics
from stockpipeline_operator.kube.client import KubeClient
from stockpipeline_operator.kube.credentials import NoCluster, connection
from stockpipeline_operator.leadership.fence import Fence
from stockpipeline_operator.leadership.leader import Leader
from stockpipeline_operator.let_go import let_go
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.attempts import Attempts
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.batch_figures import Batches
from stockpipeline_operator.reconcile.contents import Revisions
from stockpipeline_operator.reconcile.corrections import Corrections, utc_now
from stockpipeline_operator.reconcile.events import Events
from stockpipeline_operator.reconcile.inventory import Inventory
from stockpipeline_operator.reconcile.reconciler import Key, Reconciler
from stockpipeline_operator.reconcile.work import Tools
from stockpipeline_operator.settings import Settings, SettingsError

PROGRAM = "stockpipeline-operator"
# The canary is sent every 10 s, and must be back within a minute.
_HEARTBEAT_SECONDS = 70.0
# Several fit between two renewals of the Lease and their deadline.
_LEASE_TIMEOUT_SECONDS = 2.0
# The API server may be away when the operator begins to lead; passes need not wait for it to come back.
_WATCH_PATIENCE_SECONDS = 10.0
_WATCH_STOP_SECONDS = 5.0

_log = structlog.get_logger()


def main() -> int:
    """Run until SIGTERM or SIGINT, or until the Lease is lost; with `let-go`, until that is done."""
    logs.configure(component="operator")
    # One line for each event of each watch; what they lead to is logged where it is done.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment()
        tracing.configure("operator")
        info = connection()
    except (SettingsError, BadSetting, NoCluster) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        return let_go(settings, info, stop) if sys.argv[1:] == ["let-go"] else run(settings, info, stop)
    finally:
        tracing.close()


def run(settings: Settings, info: kopf.ConnectionInfo, stop: threading.Event) -> int:
    """Stand by until this process leads, then work until `stop` is set, in the cluster that `info` names.

    Return the exit code: 0 after `stop`, 1 if the watches ended by themselves.
    """
    registry = new_registry()
    metrics, batch_metrics = OperatorMetrics(registry), BatchMetrics(registry)
    readiness, heartbeat = Readiness([CHECK]), Heartbeat(_HEARTBEAT_SECONDS)
    fence = Fence()
    client = KubeClient(info, connections=settings.workers + 1, before_write=fence.check)
    chart = PipelineChart(settings.chart)
    releases = HelmReleases(client, metrics.helm_operation)
    queue: WorkQueue[Key] = WorkQueue()
    feed = FeedProbe(readings.read, queue.add, utc_now)
    replica_probe = replicas.ReplicaProbe(replicas.read, queue.add)
    inventory = Inventory(client, releases)
    batches = Batches()
    tools = Tools(
        client,
        releases,
        KafkaTopics(),
        Events(client),
        metrics,
        inventory,
        Revisions(releases),
        Corrections(),
        Attempts(),
        feed,
        replica_probe,
        batches,
        readings.reasons,
    )
    reconciler = Reconciler(Base(settings, chart), tools)
    metrics.queue_depth.set_function(lambda: len(queue))
    metrics.leading.set_function(lambda: fence.is_open)

    def show() -> None:
        metrics.show_pipelines(reconciler.condition_statuses())
        batch_metrics.show(batches.all())

    server = StatusServer(registry, readiness, heartbeat, show)
    workers = Workers(settings.workers, queue, reconciler.reconcile, metrics, heartbeat)
    resync = Resync(client, queue, readiness, settings.namespaces, settings.resync_seconds)
    owned = OwnedWatch(client, queue, settings.namespaces, changed=inventory.forget, missed=resync.now)

    def looked(trouble: str | None) -> None:
        if trouble is not None:
            readiness.waiting(CHECK, trouble)
        elif not fence.is_open:
            readiness.fine(CHECK)
            heartbeat.beat()

    leader = Leader(
        KubeClient(info, connections=1, timeout_seconds=_LEASE_TIMEOUT_SECONDS),
        settings.lease,
        f"{instance_name()}_{uuid.uuid4()}",
        fence,
        looked,
        _end_at_once,
    )
    server.start()
    try:
        if not leader.acquire(stop):
            return 0
        metrics.watch_age.set_function(owned.silent_seconds)
        owned.start(_WATCH_PATIENCE_SECONDS)
        inventory.fill(settings.namespaces)
        workers.start()
        resync.start()
        feed.start()
        replica_probe.start()
        try:
            return _watch(settings, queue, stop)
        finally:
            # First what asks for passes, then those under way; what still hangs ends with the process.
            feed.stop()
            replica_probe.stop()
            owned.stop()
            resync.stop()
            workers.stop()
            leader.release()
    finally:
        server.stop()


def _watch(settings: Settings, queue: WorkQueue[Key], stop: threading.Event) -> int:
    """Run kopf until `stop` is set; in a thread, because in the main one it would take the signals over."""
    failed = threading.Event()

    def watch() -> None:
        try:
            kopf.run(
                registry=handlers.registry(queue),
                settings=handlers.settings(settings.namespaces),
                standalone=True,
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                stop_flag=stop,
            )
        except Exception:
            _log.exception("the watches failed")
        finally:
            if not stop.is_set():
                failed.set()
                stop.set()

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    stop.wait()
    thread.join(_WATCH_STOP_SECONDS)
    return int(failed.is_set())


def _end_at_once() -> None:
    """Leave nothing running that may still write: Kubernetes starts the process again, as a stand-by."""
    logging.shutdown()
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
