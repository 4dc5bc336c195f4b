"""The writer: the one process that opens the master.

It opens the file, loads in transactions, and closes it again, so that the publisher can read it: DuckDB lets
nobody read a file that is open for writing. Each transaction leaves a row in `meta.commits` with a random
id. A master that lacks the id of the commit that was published last is not its continuation.
"""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from stockpipeline.store.commits import last_commit
from stockpipeline.store.errors import MasterBusy, MasterUnusable, NoSpace
from stockpipeline.store.files import sync_folder
from stockpipeline.store.loads import Transaction
from stockpipeline.store.manifest import Commit
from stockpipeline.store.migrations import migrate
from stockpipeline.store.runs import RunFigures, newest_run

# Readers of DuckDB 1.5 and newer; what 1.5 writes by default can be read since 1.0, but packs less.
STORAGE_VERSION = "v1.5.0"

_RETRY_SECONDS = 0.05


@dataclass(frozen=True)
class Space:
    """A master's blocks, in bytes: all of them, and those that hold nothing."""

    total: int
    free: int

    @property
    def used(self) -> int:
        """Bytes of blocks that hold something."""
        return self.total - self.free

    @property
    def free_share(self) -> float:
        """The share of the blocks that holds nothing, 0…1."""
        return self.free / self.total if self.total else 0.0


class Writer:
    """The master, open for writing; a context manager. Closing checkpoints, and leaves no write-ahead log.

    `memory_limit` is DuckDB's, such as "1GB". Not to be shared by threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience_seconds: float = 60.0,
        memory_limit: str = "1GB",
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open, and bring the schema to the newest version.

        Raises:
            MasterBusy: a publisher or another writer has it open for longer than `patience_seconds`.
            MasterUnusable: the file is no master that this program can write.
        """
        self.path = path
        self._now = now
        self._memory_limit = memory_limit
        self._closed = False
        self._connection = _connect(path, patience_seconds, memory_limit)
        try:
            self.migrated = migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Checkpoint and close, so that all is in the one file; once is enough."""
        if self._closed:
            return
        self._closed = True
        try:
            self._connection.execute("CHECKPOINT")
        finally:
            self._connection.close()

    @contextmanager
    def transaction(self, batch: str, *, always: bool = False) -> Iterator[Transaction]:
        """Commit all or nothing of what the block loads; `batch` names it for people and for manifests.

        A transaction that changed nothing leaves no commit, unless it is to do so `always`.
        """
        self._connection.execute("BEGIN")
        try:
            transaction = Transaction(self._connection)
            yield transaction
            if transaction.changed_rows or always:
                self._connection.execute(
                    "INSERT INTO meta.commits SELECT coalesce(max(number), 0) + 1, ?, ?,"
                    " make_timestamptz(?) FROM meta.commits",
                    [secrets.token_hex(16), batch, round(self._now() * 1e6)],
                )
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def last_commit(self) -> Commit | None:
        """Return the newest commit, None in a new master."""
        return last_commit(self._connection)

    def newest_run(self) -> RunFigures | None:
        """Return the figures of the batch's newest session; None where no batch was loaded."""
        return newest_run(self._connection)

    def offsets(self, topic: str) -> dict[int, int]:
        """Return for each partition of a topic that was loaded from the offset of the next record."""
        rows = self._connection.execute(
            "SELECT partition, next_offset FROM meta.offsets WHERE topic = ?", [topic]
        ).fetchall()
        return dict(rows)

    def space(self) -> Space:
        """Return how much of the file holds something; checkpoints."""
        self._connection.execute("CHECKPOINT")
        row = self._connection.execute(
            "SELECT block_size * total_blocks, block_size * free_blocks FROM pragma_database_size()"
        ).fetchone()
        assert row is not None
        return Space(*row)

    def compact(self) -> Space:
        """Write the master anew without what holds nothing, close, and return what it then has.

        Rows keep their order, and with it how few blocks a day's change touches. But all blocks are others
        once: the next generation is uploaded and pulled whole. The old file is replaced in one step after the
        new one is whole and on disk; a kill leaves one of both.

        Raises:
            NoSpace: there is no room for the new file beside the old one.
        """
        space = self.space()  # the checkpoint leaves no log that could be taken for the new file's
        fresh = self.path.with_name(f"{self.path.name}.compacted")
        _remove_database(fresh)
        free = shutil.disk_usage(self.path.parent).free
        if free < space.used:
            raise NoSpace(
                f"{self.path} cannot be compacted: {space.used} bytes are needed beside it, {free} are free"
            )
        try:
            (name,) = self._connection.execute("SELECT current_database()").fetchall()[0]
            quoted = str(fresh).replace("'", "''")
            self._connection.execute(f"ATTACH '{quoted}' AS compacted (STORAGE_VERSION '{STORAGE_VERSION}')")
            self._connection.execute(f'COPY FROM DATABASE "{name}" TO compacted')
            self._connection.execute("CHECKPOINT compacted")
            self._connection.execute("DETACH compacted")
            # While the old file is still locked: no other writer can come in between.
            fresh.replace(self.path)
            sync_folder(self.path.parent)
        finally:
            _remove_database(fresh)
            self.close()
        with Writer(self.path, memory_limit=self._memory_limit, now=self._now) as compacted:
            return compacted.space()


def _connect(path: Path, patience_seconds: float, memory_limit: str) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return duckdb.connect(
                str(path),
                config={"storage_compatibility_version": STORAGE_VERSION, "memory_limit": memory_limit},
            )
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise MasterUnusable(f"master {path}: {_first_line(error)}") from error
            if time.monotonic() > deadline:
                raise MasterBusy(
                    f"master {path} was locked by another process for {patience_seconds:g} s: "
                    f"{_first_line(error)}"
                ) from error
            time.sleep(_RETRY_SECONDS)
        except duckdb.Error as error:
            raise MasterUnusable(f"master {path}: {_first_line(error)}") from error


def _remove_database(path: Path) -> None:
    for file in (path, path.with_name(f"{path.name}.wal")):
        file.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
