"""The master's upkeep: rows that are too old go, and what they leave empty is given back when it is much.

A day's rows that go leave room that the next day's fill, so the file stays as large as it is, and both change
a few blocks. Only when most of the file holds nothing, after the history was shortened for instance, is it
written anew: that changes every block once.
"""

import time
from collections.abc import Callable

import structlog

from stockpipeline.api import duration
from stockpipeline.api.spec.store import History
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.errors import NoSpace
from stockpipeline.store.tables import AGES
from stockpipeline.store.writer import Space, Writer

_EMPTY_SHARE = 0.5
# A small file is not worth it.
_EMPTY_BYTES = 32 * 1024 * 1024
_log = structlog.get_logger()


class Upkeep:
    """Deletes what the configured history gives up, and compacts; only while nobody publishes.

    `open_master` opens the master for writing; `empty_bytes` must hold nothing for a compaction to pay.
    """

    def __init__(
        self,
        open_master: Callable[[], Writer],
        history: History,
        metrics: StoreMetrics,
        *,
        empty_bytes: int = _EMPTY_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._open_master = open_master
        self._kept = {
            table: duration(text) for table in AGES if (text := getattr(history, table)) is not None
        }
        self._metrics = metrics
        self._empty_bytes = empty_bytes
        self._now = now

    def run(self) -> bool:
        """Do what there is to do; return whether the master changed.

        A kill at any moment leaves the rows as they were before, or as they are after.

        Raises:
            MasterBusy, duckdb.Error, OSError: the master could not be opened or written; it stays as it is.
        """
        with self._open_master() as writer:
            forgotten = self._forget(writer)
            space = writer.space()
        compacted = self._compact(space)
        self._metrics.empty.set((compacted or space).free)
        return bool(forgotten) or compacted is not None

    def _forget(self, writer: Writer) -> int:
        with writer.transaction("history") as load:
            counts = {table: load.forget(table, keep, self._now()) for table, keep in self._kept.items()}
        for table, count in counts.items():
            if count:
                self._metrics.forgotten(table, count)
                _log.info("rows that are older than the history were deleted", table=table, rows=count)
        return sum(counts.values())

    def _compact(self, space: Space) -> Space | None:
        """Compact the master if that pays; return what it has then, None if it is as before."""
        if space.free < self._empty_bytes or space.free_share < _EMPTY_SHARE:
            return None
        try:
            with self._open_master() as writer:
                after = writer.compact()
        except NoSpace as error:
            _log.warning("the master was not compacted", why=str(error))
            return None
        self._metrics.compactions.inc()
        _log.info("the master was compacted", bytes_before=space.total, bytes_after=after.total)
        return after
