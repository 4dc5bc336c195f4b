"""Queries of strangers on a replica: one SELECT, bounded in time, memory and size, and nothing else.

DuckDB is opened read-only, without access to files, network, extensions or Python's variables, and with its
configuration locked; so what the SQL says cannot change that.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from stockpipeline.store.reader import Replica, Snapshot

_BATCH_ROWS = 10_000
_ALLOWED = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class QueryError(Exception):
    """A query that was not answered."""


class RefusedStatement(QueryError):
    """It is not exactly one SELECT or EXPLAIN."""


class FailedQuery(QueryError):
    """DuckDB says that it is wrong, or needs more memory than it may have."""


class TimedOut(QueryError):
    """It took longer than it may."""


class TooLarge(QueryError):
    """Its result is larger than it may be."""


class Busy(QueryError):
    """As many queries as may run at once are running."""


@dataclass(frozen=True)
class Limits:
    """What one query, and all of them together, may take; `memory` is DuckDB's, for all queries together."""

    seconds: float = 30.0
    memory: str = "512MB"
    threads: int = 2
    result_bytes: int = 64 * 1024 * 1024
    at_once: int = 4
    wait_seconds: float = 5.0
    """How long a query waits for others to end before it is refused."""


@dataclass(frozen=True)
class Answer:
    """A result, the generation that it is of, and how old that was (seconds, see `Replica.lag_seconds`)."""

    table: pa.Table
    generation: int
    lag_seconds: float


def locked_config(limits: Limits) -> Mapping[str, str | bool | int]:
    """Return DuckDB's settings for SQL that is not trusted."""
    return {
        "enable_external_access": False,
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
        # No spilling: the root file system is read-only, and a query that needs it is too large.
        "temp_directory": "",
        "memory_limit": limits.memory,
        "threads": limits.threads,
        "lock_configuration": True,
    }


class QueryService:
    """Answers queries on the replica in a folder; used by many threads at once."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.limits = limits
        self.replica = Replica(folder, config=locked_config(limits))
        self._slots = threading.BoundedSemaphore(limits.at_once)

    def run(self, sql: str, parameters: Sequence[Any] = (), max_lag: float | None = None) -> Answer:
        """Return the whole result of a query.

        Raises:
            QueryError: see its kinds.
            TooStale, NoReplica: as `Replica.read` does.
        """
        if not self._slots.acquire(timeout=self.limits.wait_seconds):
            raise Busy(
                f"{self.limits.at_once} queries are running, as many as may, and none of them ended within "
                f"{self.limits.wait_seconds:g} s: try again"
            )
        try:
            check_statement(sql)
            with self.replica.read(max_lag) as snapshot:
                table = self._bounded(snapshot, sql, parameters)
                return Answer(table, snapshot.generation, snapshot.lag_seconds)
        finally:
            self._slots.release()

    def _bounded(self, snapshot: Snapshot, sql: str, parameters: Sequence[Any]) -> pa.Table:
        watch = threading.Timer(self.limits.seconds, snapshot.connection.interrupt)
        watch.daemon = True
        watch.start()
        try:
            reader = snapshot.execute(sql, parameters).to_arrow_reader(_BATCH_ROWS)
            batches, size = [], 0
            for batch in reader:
                size += batch.nbytes
                if size > self.limits.result_bytes:
                    raise TooLarge(
                        f"the result is larger than {self.limits.result_bytes} bytes: "
                        "select less, or use LIMIT"
                    )
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema)
        except (duckdb.Error, pa.ArrowException) as error:
            # While the result is read, an interruption comes by way of Arrow, as a text.
            if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in str(error).upper():
                text = f"the query took longer than {self.limits.seconds:g} s and was stopped"
                raise TimedOut(text) from error
            raise FailedQuery(str(error)) from error
        finally:
            watch.cancel()


def check_statement(sql: str) -> None:
    """Raise RefusedStatement unless this is one SELECT or EXPLAIN, FailedQuery if it is no SQL."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise FailedQuery(str(error)) from error
    if len(statements) != 1:
        raise RefusedStatement(f"{len(statements)} statements; send one")
    if statements[0].type not in _ALLOWED:
        raise RefusedStatement(f"{statements[0].type.name} is not allowed here, only SELECT and EXPLAIN are")
