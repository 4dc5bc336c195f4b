"""What the publisher's answers mean for metrics, log and readiness."""

import msgspec
import structlog

from stockpipeline.runtime.health import Readiness
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.blocks import BLOCK_BYTES
from stockpipeline.store.collect import CollectReport
from stockpipeline.store.publish import PublishReport
from stockpipeline.store_service.publisher_process import Answer, Received

_FAILED = {
    "collect": "retention was not applied; tried again later",
    "receive": "whether the batch has delivered is not known; asked again",
}
_log = structlog.get_logger()


class Published:
    """Takes answers; the check `publish` says why a commit is not published yet."""

    def __init__(self, metrics: StoreMetrics, readiness: Readiness) -> None:
        self._metrics = metrics
        self._readiness = readiness

    def take(self, answer: Answer) -> PublishReport | CollectReport | Received | None:
        """Tell of an answer; return the report of what was done, None if it was not."""
        if answer.error is not None:
            self._failed(answer, answer.error)
            return None
        match answer.task:
            case "publish":
                return self._published(msgspec.json.decode(answer.report, type=PublishReport))
            case "collect":
                return self._collected(msgspec.json.decode(answer.report, type=CollectReport))
        return msgspec.json.decode(answer.report, type=Received)

    def _failed(self, answer: Answer, kind: str) -> None:
        if answer.task == "publish":
            self._metrics.publish_failed(kind)
            self._readiness.waiting("publish", f"{kind}: {answer.message}")
        else:
            _log.warning(_FAILED[answer.task], error=kind, why=answer.message)

    def _published(self, report: PublishReport) -> PublishReport:
        self._readiness.fine("publish")
        self._metrics.generation.set(report.generation)
        if not report.published:
            return report
        self._metrics.publish_seconds.observe(report.seconds)
        self._metrics.changed.inc(report.changed_blocks * BLOCK_BYTES)
        self._metrics.uploaded.inc(report.uploaded_bytes)
        _log.info(
            "published",
            generation=report.generation,
            blocks=report.changed_blocks,
            bytes=report.uploaded_bytes,
            seconds=report.seconds,
        )
        return report

    def _collected(self, report: CollectReport) -> CollectReport:
        self._metrics.generations.set(len(report.kept))
        _log.info(
            "retention was applied",
            kept=len(report.kept),
            expired=len(report.expired),
            deleted_bytes=report.deleted_bytes,
        )
        return report
