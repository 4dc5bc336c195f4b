"""The replica's main loop: pull, and now and then read all of it.

This process never opens the database: whoever closes a file loses all of the process's locks on it. Readers
are processes of their own.
"""

import time
from collections.abc import Callable

import structlog

from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.runtime.store_metrics import ReplicaMetrics
from stockpipeline.store.blocks import BLOCK_BYTES
from stockpipeline.store.errors import Damaged, Missing, ReplicaBusy, StoreError
from stockpipeline.store.pull import Puller, PullReport
from stockpipeline.store.scrub import last_scrub, scrub_replica

_log = structlog.get_logger()


class ReplicaLoop:
    """Runs until the end is asked for; intervals in seconds."""

    def __init__(
        self,
        puller: Puller,
        pull_interval: float,
        scrub_interval: float,
        metrics: ReplicaMetrics,
        readiness: Readiness,
        heartbeat: Heartbeat,
        shutdown: Shutdown,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._puller = puller
        self._pull_interval = pull_interval
        self._scrub_interval = scrub_interval
        self._metrics = metrics
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._shutdown = shutdown
        self._now = now
        self._trouble: str | None = None
        # How long the first generation has been there says nothing about pulling.
        self._followed = False

    def run(self) -> None:
        """Go round until the end is asked for."""
        while True:
            self._heartbeat.beat()
            self._pull()
            self._scrub()
            if self._shutdown.wait(self._pull_interval):
                return

    def _pull(self) -> None:
        try:
            report = self._puller.pull()
        except ReplicaBusy:
            return  # somebody pulls by hand
        except (StoreError, OSError) as error:
            self._failed(error)
        else:
            if self._trouble is not None:
                _log.info("pulling goes on", generation=report.generation)
                self._trouble = None
            if report.advanced:
                self._advanced(report)
            self._followed = True
        if self._puller.folder.current() is not None:
            # Also when the store is gone: the last good generation is served, and its age is told.
            self._readiness.fine("generation")
        else:
            self._readiness.waiting("generation", self._trouble or "nothing was pulled yet")

    def _advanced(self, report: PullReport) -> None:
        current = self._puller.folder.current()
        assert current is not None
        self._metrics.changed.inc(report.fetched_blocks * BLOCK_BYTES)
        self._metrics.fetched.inc(report.fetched_bytes)
        if self._followed:
            self._metrics.freshness.observe(
                max(0.0, self._now() - current.manifest.commit.committed_ms / 1000)
            )
        _log.info(
            "pulled",
            generation=report.generation,
            blocks=report.fetched_blocks,
            bytes=report.fetched_bytes,
            seconds=report.seconds,
        )

    def _failed(self, error: Exception) -> None:
        self._metrics.pull_failures.inc()
        if isinstance(error, Damaged | Missing):
            self._metrics.verify_failures.inc()
        if str(error) != self._trouble:
            self._trouble = str(error)
            _log.warning("cannot pull; trying again", error=type(error).__name__, why=self._trouble)

    def _scrub(self) -> None:
        folder = self._puller.folder
        last = last_scrub(folder)
        if folder.current() is None or (
            last is not None and self._now() < last.finished_ms / 1000 + self._scrub_interval
        ):
            return
        try:
            report = scrub_replica(folder, self._puller, now=self._now)
        except (StoreError, OSError) as error:
            self._failed(error)
            return
        self._metrics.verify_failures.inc(len(report.problems))
        if report.problems:
            _log.error("damage was found", problems=report.problems, mended=report.repaired)
