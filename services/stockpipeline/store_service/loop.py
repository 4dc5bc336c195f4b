"""The store's main loop: gather, commit, publish, in turns.

DuckDB lets nobody read a master that is open for writing. So the writer opens it for one transaction and
closes it again, and while the publisher reads, records wait in memory.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import structlog

from stockpipeline.api import Topic
from stockpipeline.api.spec.store import History
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.errors import MasterBusy
from stockpipeline.store.publish import PublishReport
from stockpipeline.store.writer import Writer
from stockpipeline.store_service.arrivals import Arrivals
from stockpipeline.store_service.intake import Intake
from stockpipeline.store_service.published import Published
from stockpipeline.store_service.publisher import Publishing
from stockpipeline.store_service.publisher_process import Received, Task
from stockpipeline.store_service.signal_traces import SignalTraces
from stockpipeline.store_service.upkeep import Upkeep

_POLL_SECONDS = 0.2
# More records wait in Kafka and in the client's own, bounded queue.
_MOST_RECORDS = 20_000
_PATIENCE_SECONDS = 1.0
_RETRY_SECONDS = 5.0
# DuckDB's own. It shares a pod of 1 GiB with what else the process holds, and with the publisher.
_MEMORY = "512MB"
_COLLECT_SECONDS = 3600.0
_UPKEEP_SECONDS = 3600.0
_log = structlog.get_logger()


class StoreLoop:
    """Runs until the end is asked for. `interval` is the time in seconds for which records are gathered."""

    def __init__(
        self,
        master: Path,
        topics: Callable[[Topic], str],
        intake: Intake,
        publishing: Publishing,
        publishes: bool,
        history: History,
        interval: float,
        metrics: StoreMetrics,
        traces: SignalTraces,
        readiness: Readiness,
        heartbeat: Heartbeat,
        shutdown: Shutdown,
    ) -> None:
        self._master = master
        self._topics = topics
        self._intake = intake
        self._publishing = publishing
        self._interval = interval
        self._metrics = metrics
        self._traces = traces
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._shutdown = shutdown
        self._publishes = publishes
        self._published = Published(metrics, readiness)
        self._arrivals = Arrivals(self._open_master, metrics, publishes=publishes)
        self._upkeep = Upkeep(self._open_master, history, metrics)
        # What a kill left unpublished is published first; if there is nothing, that is said, too.
        self._unpublished = publishes
        self._next_load = 0.0
        self._next_commit = self._next_publish = self._next_upkeep = 0.0
        self._next_collect = time.monotonic() + min(_COLLECT_SECONDS, 60.0)

    def run(self) -> None:
        """Go round until the end is asked for; then commit what was gathered.

        Raises:
            KafkaFatal: a topic cannot be read on.
            MasterUnusable: the file is no master.
        """
        while not self._shutdown.requested:
            self._heartbeat.beat()
            if len(self._intake.batch) < _MOST_RECORDS:
                self._intake.gather(_POLL_SECONDS)
            else:
                self._shutdown.wait(_POLL_SECONDS)
            self._tell_of_kafka()
            self._metrics.lag.set(self._intake.lag)
            self._take_answer()
            if not self._publishing.busy:
                self._next_step()
        self._publishing.close(self._shutdown.remaining_seconds() / 2)
        if self._intake.batch:
            self._commit()

    def measure(self) -> None:
        """Set the gauges that are cheaper to compute when somebody asks; in the thread of who asks."""
        if self._master.exists():
            self._metrics.size.set(self._master.stat().st_size)
            self._metrics.free.set(shutil.disk_usage(self._master.parent).free)

    def _tell_of_kafka(self) -> None:
        trouble = self._intake.trouble
        if trouble is None:
            self._readiness.fine("kafka")
        else:
            self._readiness.waiting("kafka", trouble)

    def _next_step(self) -> None:
        now = time.monotonic()
        batch = self._intake.batch
        if batch and (now >= self._next_commit or len(batch) >= _MOST_RECORDS):
            self._commit()
        elif self._arrivals.arrived and now >= self._next_load:
            self._load()
        elif self._unpublished and now >= self._next_publish:
            self._publishing.ask(Task("publish"))
        elif (task := self._arrivals.task()) is not None:
            self._publishing.ask(task)
        elif now >= self._next_upkeep:
            self._keep_up()
        elif self._publishes and now >= self._next_collect:
            self._next_collect = now + _COLLECT_SECONDS
            self._publishing.ask(Task("collect"))

    def _open_master(self) -> Writer:
        return Writer(self._master, patience_seconds=_PATIENCE_SECONDS, memory_limit=_MEMORY)

    def _changed(self, master_changed: bool) -> None:
        self._unpublished |= master_changed and self._publishes

    def _load(self) -> None:
        try:
            self._changed(self._arrivals.load())
        except (MasterBusy, duckdb.Error, OSError) as error:
            self._readiness.waiting("master", str(error))
            self._next_load = time.monotonic() + _RETRY_SECONDS
        else:
            self._readiness.fine("master")

    def _keep_up(self) -> None:
        try:
            self._changed(self._upkeep.run())
        except (MasterBusy, duckdb.Error, OSError) as error:
            # Loading goes on, and says by itself what is wrong with the master.
            _log.warning("the master's upkeep failed; tried again later", why=str(error))
        self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS

    def _commit(self) -> None:
        batch = self._intake.batch
        try:
            with (
                self._open_master() as writer,
                writer.transaction("signals and performance") as load,
            ):
                load.load_signals(self._topics(Topic.SIGNALS), batch.signals)
                load.load_performance(self._topics(Topic.PERFORMANCE), batch.performance)
        except (MasterBusy, duckdb.Error, OSError) as error:
            # Nothing of it is in the master; the batch is kept and tried again.
            self._readiness.waiting("master", str(error))
            self._next_commit = time.monotonic() + _RETRY_SECONDS
            return
        self._readiness.fine("master")
        self._metrics.commits.inc()
        self._traces.committed()
        for record, signal in batch.signals:
            _log.debug(
                "a signal is in the store",
                signal_id=signal.id,
                partition=record.partition,
                offset=record.offset,
            )
        self._metrics.loaded(Topic.SIGNALS.value, len(batch.signals))
        self._metrics.loaded(Topic.PERFORMANCE.value, len(batch.performance))
        self._intake.taken()
        self._changed(True)
        self._next_commit = time.monotonic() + self._interval

    def _take_answer(self) -> None:
        answer = self._publishing.answer()
        if answer is None:
            return
        done = self._published.take(answer)
        if answer.task == "publish":
            self._unpublished = done is None
            self._next_publish = 0.0 if done else time.monotonic() + _RETRY_SECONDS
        match done:
            case PublishReport():
                self._arrivals.published(done.generation)
                self._traces.published(done.generation)
            case Received():
                self._arrivals.received(done)
