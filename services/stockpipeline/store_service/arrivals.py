"""Deliveries of the batch on their way into the master: received, loaded, published, and only then settled.

A writer that was cut off could load a delivery into a master that nobody follows any more. It cannot publish,
so it does not settle either, and the delivery is still there for the writer that replaced it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import structlog

from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.deliveries import Delivery, Outcome, files_of
from stockpipeline.store.loads import InvalidRows
from stockpipeline.store.writer import Writer
from stockpipeline.store_service.publisher_process import Received, Task
from stockpipeline.store_service.run_figures import show_newest_run

_LOOK_SECONDS = 5.0
_log = structlog.get_logger()


class Arrivals:
    """Where the delivery of the moment is; with `publishes` it is settled when readers can see it."""

    def __init__(self, open_master: Callable[[], Writer], metrics: StoreMetrics, *, publishes: bool) -> None:
        self._open_master = open_master
        self._metrics = metrics
        self._publishes = publishes
        self._arrived: tuple[Delivery, Path] | None = None
        self._loaded: Outcome | None = None
        self._settled: Outcome | None = None
        self._next_look = 0.0

    @property
    def arrived(self) -> bool:
        """Whether a delivery is there to be loaded."""
        return self._arrived is not None

    def task(self) -> Task | None:
        """Return what is to be asked of the publisher's process now."""
        if self._arrived is not None or self._loaded is not None:
            return None
        if self._settled is None and time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _LOOK_SECONDS
        return Task("receive", self._settled)

    def received(self, report: Received) -> None:
        """Take what came of the task; the outcome before is settled with it."""
        self._settled = None
        self._metrics.waiting_deliveries.set(report.waiting)
        if report.refused:
            self._refused(report.refused)
        if report.delivery is not None:
            self._arrived = report.delivery, Path(report.folder)
        if report.waiting:
            self._next_look = 0.0

    def load(self) -> bool:
        """Load what has arrived, in one transaction; return whether the master changed.

        Raises:
            MasterBusy, duckdb.Error, OSError: nothing of it is in the master, and it is to be tried again.
        """
        assert self._arrived is not None
        delivery, folder = self._arrived
        try:
            rows = self._load(delivery, folder)
        except (InvalidRows, duckdb.OutOfMemoryException) as error:
            self._refused(str(error))
            self._arrived, self._settled = None, _outcome(delivery, why=str(error))
            return False
        self._metrics.delivered(rows)
        _log.info("a delivery was loaded", number=delivery.number, batch=delivery.batch, rows=rows)
        self._arrived = None
        outcome = _outcome(delivery, rows=rows)
        if self._publishes:
            self._loaded = outcome
        else:
            self._settled = outcome
        return True

    def published(self, generation: int) -> None:
        """What was loaded is readable from this generation on."""
        if self._loaded is not None:
            self._settled = msgspec.structs.replace(self._loaded, generation=generation)
            self._loaded = None

    def _load(self, delivery: Delivery, folder: Path) -> dict[str, int]:
        rows: dict[str, int] = {}
        with self._open_master() as writer:
            with writer.transaction(delivery.batch) as load:
                for place, one in enumerate(delivery.tables):
                    files = files_of(folder, place)
                    if one.first is None or one.last is None:
                        count = load.load(one.table, files)
                    else:
                        count = load.replace(one.table, files, one.first, one.last)
                    rows[one.table] = rows.get(one.table, 0) + count
            show_newest_run(writer, self._metrics)
        return rows

    def _refused(self, why: str) -> None:
        self._metrics.refused_delivery()
        _log.error("a delivery was refused, and is left where it is", why=why)


def _outcome(delivery: Delivery, rows: dict[str, int] | None = None, why: str = "") -> Outcome:
    return Outcome(
        number=delivery.number,
        nonce=delivery.nonce,
        batch=delivery.batch,
        loaded=rows is not None,
        rows=rows or {},
        why=why,
    )
