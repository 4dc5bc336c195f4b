"""The detector's main loop: read, detect, commit."""

import time

import structlog

from stockpipeline.adapters.kafka_consumer import MOST_AT_ONCE, GroupConsumer
from stockpipeline.adapters.kafka_transactions import TransactionFailed
from stockpipeline.detector import collector
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.closing import LiveClosing, NoClosing
from stockpipeline.detector.delivery import Delivery
from stockpipeline.detector.intake import Intake
from stockpipeline.detector.performance import Performance
from stockpipeline.detector.report import Report
from stockpipeline.detector.restore import Restorer
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.signals.detector import Detector
from stockpipeline_native import Messages

_RESTORE_RETRY_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 0.2
_FAR_BEHIND_RECORDS = 10_000
_log = structlog.get_logger()


class DetectorLoop:
    """Owns partitions through the group, restores them, and turns their ticks into committed signals."""

    def __init__(
        self,
        consumer: GroupConsumer,
        delivery: Delivery,
        restorer: Restorer,
        assignment: Assignment,
        detector: Detector,
        intake: Intake,
        performance: Performance,
        report: Report,
        metrics: DetectorMetrics,
        readiness: Readiness,
        heartbeat: Heartbeat,
        shutdown: Shutdown,
        closing: LiveClosing | NoClosing,
    ) -> None:
        self._consumer = consumer
        self._delivery = delivery
        self._restorer = restorer
        self._assignment = assignment
        self._detector = detector
        self._intake = intake
        self._performance = performance
        self._report = report
        self._metrics = metrics
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._shutdown = shutdown
        self._closing = closing
        self._rewind_needed = False
        self._restore_at = 0.0

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            KafkaFatal: another detector took over, or Kafka lost something: start the process anew.
        """
        self._readiness.waiting("assignment", "waiting for the consumer group to give out partitions")
        self._consumer.subscribe(self._on_assign, self._on_revoke, self._on_lost)
        while not self._shutdown.requested:
            self._heartbeat.beat()
            self._restore()
            self._refresh()
            try:
                self._delivery.poll()
                messages = self._read()
                if messages:
                    self._process(messages)
                self._compare()
                if not self._rewind_needed and (closed := self._closing.close()):
                    self._delivery.begin()
                    self._delivery.changed(closed)
                if self._delivery.is_due(
                    caught_up=messages is None or len(messages) < MOST_AT_ONCE,
                    far_behind=self._assignment.lag >= _FAR_BEHIND_RECORDS,
                ):
                    self._delivery.commit(wait=False)
            except TransactionFailed as error:
                self._abort(str(error))
            self._report.update()
        self._commit_all()
        self._consumer.close()

    def _read(self) -> Messages | None:
        """Return the next messages, all of partitions that are restored; None after a failure."""
        messages = self._consumer.drain(min(_LONGEST_WAIT_SECONDS, self._delivery.seconds_left()))
        if self._rewind_needed:
            self._rewind()
            return None
        return messages

    def _process(self, messages: Messages) -> None:
        """Take ticks in; what they give goes into the open transaction."""
        positions = messages.positions()
        self._delivery.begin()
        self._metrics.batch.observe(len(messages))
        with self._metrics.stage("take"):
            changed = self._intake.take(messages)
        self._delivery.changed(changed)
        self._report.taken(messages[-1])
        self._delivery.processed(positions)
        self._assignment.processed(positions)

    def _compare(self) -> None:
        """Let signals that waited for the benchmark's price have it, also while no ticks come."""
        symbols = self._performance.compare()
        if symbols:
            self._delivery.begin()
            self._delivery.changed(symbols)

    def _commit_all(self) -> bool:
        """Commit what there is; return whether that went well."""
        try:
            self._delivery.commit(wait=True)
        except TransactionFailed as error:
            self._abort(str(error))
            return False
        return True

    def _abort(self, why: str) -> None:
        """Abort; the state in memory is ahead of what is committed then, so all of it must go."""
        _log.warning("transaction aborted", why=why)
        self._delivery.abort()
        self._rewind_needed = True

    def _rewind(self) -> None:
        self._rewind_needed = False
        self._assignment.forget_progress()
        self._consumer.halt(self._assignment.owned)
        self._readiness.waiting("state", "restoring after an aborted transaction")
        self._restore_at = 0.0

    def _restore(self) -> None:
        """Try to restore what is pending, not more often than once a second."""
        if not self._assignment.pending or time.monotonic() < self._restore_at:
            return
        reason = self._restorer.restore_pending()
        if reason is None:
            collector.settle()
            self._readiness.fine("state")
        else:
            self._readiness.waiting("state", reason)
            self._restore_at = time.monotonic() + _RESTORE_RETRY_SECONDS

    def _refresh(self) -> None:
        """Begin anew, as after a restart, with partitions of which a history has changed."""
        if self._rewind_needed or not (partitions := self._restorer.outdated()):
            return
        if not self._commit_all():  # everything begins anew then
            return
        self._drop(partitions)
        self._consumer.halt(partitions)
        self._assignment.add(partitions)
        self._readiness.waiting("state", "restoring after histories have changed")
        self._restore_at = 0.0

    def _on_assign(self, partitions: list[int]) -> None:
        _log.info("partitions assigned", partitions=partitions)
        self._metrics.rebalances.inc()
        self._assignment.add(partitions)
        self._readiness.fine("assignment")
        self._restore_at = 0.0
        if self._assignment.pending:
            self._readiness.waiting("state", "restoring")
        else:
            # More detectors than partitions: this one stands by.
            self._readiness.fine("state")

    def _on_revoke(self, partitions: list[int]) -> None:
        """Commit before the next owner begins."""
        _log.info("partitions revoked", partitions=partitions)
        self._metrics.rebalances.inc()
        self._commit_all()
        self._drop(partitions)

    def _on_lost(self, partitions: list[int]) -> None:
        """The next owner has begun already: what is not committed is its to do."""
        _log.warning("partitions lost", partitions=partitions)
        self._metrics.rebalances.inc()
        if self._delivery.open:
            self._abort("partitions were lost")
        self._drop(partitions)

    def _drop(self, partitions: list[int]) -> None:
        self._assignment.remove(partitions)
        for partition in partitions:
            self._performance.dropped(partition)
            for symbol in self._assignment.symbols(partition):
                self._detector.forget(symbol)
