"""What a transaction can load, such that doing it twice changes nothing.

Rows of the batch are compared with what is there: only those that are new or differ are written, so that a
batch that runs again, or a corrected one, changes as few blocks as it can. Records of Kafka are counted by
their offsets, which are stored in the same transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from stockpipeline.signals.signal import Signal
from stockpipeline.store.tables import AGES, KEYS

_T = TypeVar("_T")

_DAY_US = 86_400_000_000

_SIGNAL_COLUMNS = pa.schema(
    [
        ("id", pa.string()),
        ("pipeline", pa.string()),
        ("symbol", pa.string()),
        ("rule", pa.string()),
        ("side", pa.string()),
        ("price", pa.float64()),
        ("ts", pa.timestamp("ms", tz="UTC")),
        ("bar", pa.date32()),
        ("bar_opened", pa.timestamp("ms", tz="UTC")),
        ("indicator_values", pa.map_(pa.string(), pa.float64())),
        ("confidence", pa.float64()),
        ("source", pa.string()),
        ("strength", pa.float64()),
    ]
)


class InvalidRows(ValueError):
    """Rows that cannot be loaded: a column is missing, a key comes twice or is null."""


@dataclass(frozen=True)
class Record:
    """One record of a Kafka topic; `timestamp_ms` is Kafka's."""

    partition: int
    offset: int
    key: str
    value: bytes
    timestamp_ms: int


class Transaction:
    """An open transaction of the writer; `changed_rows` were written or deleted by it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.changed_rows = 0

    def load(self, table: str, rows: pa.Table | Path) -> int:
        """Merge rows of the batch into one of the tables in KEYS; return how many were new or differed.

        `rows` are an Arrow table or Parquet files (a path, may have wildcards), with the table's columns by
        name. A row that is there with the same key is replaced if it differs, NaN being equal to NaN.

        Raises:
            InvalidRows: see there; the transaction cannot be committed then.
        """
        columns = self._columns(table)
        self._stage(table, columns, rows)
        return self._merge(table, columns)

    def replace(self, table: str, rows: pa.Table | Path, first: str, last: str) -> int:
        """Make `rows` all that a table in KEYS has of the sessions from `first` to `last`, ISO dates.

        As `load`, and rows of these sessions that are not among them are deleted; return how many rows were
        new, differed or were deleted.

        Raises:
            InvalidRows: see there; the transaction cannot be committed then.
        """
        columns = self._columns(table)
        self._stage(table, columns, rows)
        key = ", ".join(KEYS[table])
        outside = self._connection.execute(
            "SELECT session FROM staged WHERE session NOT BETWEEN ?::DATE AND ?::DATE LIMIT 1", [first, last]
        ).fetchone()
        if outside is not None:
            raise InvalidRows(f"rows for {table} are of {outside[0]}, not from {first} to {last}")
        deleted = self._count(
            f"DELETE FROM {table} WHERE session BETWEEN ?::DATE AND ?::DATE"  # noqa: S608 - our names
            f" AND ({key}) NOT IN (SELECT ({key}) FROM staged)",
            [first, last],
        )
        self.changed_rows += deleted
        return deleted + self._merge(table, columns)

    def _merge(self, table: str, columns: Sequence[str]) -> int:
        """Write the staged rows that are new or differ; return how many."""
        key = ", ".join(KEYS[table])
        same_key = " AND ".join(f"have.{name} = staged.{name}" for name in KEYS[table])
        differs = " OR ".join(f"have.{name} IS DISTINCT FROM staged.{name}" for name in columns)
        replaced = self._count(
            f"DELETE FROM {table} AS have USING staged WHERE {same_key} AND ({differs})"  # noqa: S608 - our names
        )
        written = self._count(
            f"INSERT INTO {table} BY NAME SELECT * FROM staged ANTI JOIN {table} USING ({key}) ORDER BY {key}"  # noqa: S608
        )
        self._connection.execute("DROP TABLE staged")
        self.changed_rows += replaced + written
        return written

    def load_signals(self, topic: str, records: Iterable[tuple[Record, Signal]]) -> int:
        """Add signals of a topic that were not loaded yet; return how many. A signal's id comes once."""
        fresh = self._advance(topic, [(record, signal) for record, signal in records])
        rows = pa.Table.from_pylist([_signal_row(signal) for _, signal in fresh], schema=_SIGNAL_COLUMNS)
        return self._add(
            rows,
            "INSERT INTO signals BY NAME SELECT DISTINCT ON (id) *"
            " FROM incoming ANTI JOIN signals USING (id) ORDER BY ts, id",
        )

    def load_performance(self, topic: str, records: Iterable[Record]) -> int:
        """Add records of the performance of signals that were not loaded yet; return how many."""
        fresh = self._advance(topic, [(record, None) for record in records])
        rows = pa.table(
            {
                "signal_id": pa.array([record.key for record, _ in fresh], pa.string()),
                "recorded_at": pa.array(
                    [record.timestamp_ms for record, _ in fresh], pa.timestamp("ms", tz="UTC")
                ),
                "record": pa.array([record.value.decode() for record, _ in fresh], pa.string()),
            }
        )
        return self._add(rows, "INSERT INTO performance BY NAME SELECT * FROM incoming")

    def forget(self, table: str, keep: timedelta, now: float) -> int:
        """Delete the rows of a table in AGES that are older than `keep`; return how many.

        Age counts from the newest row, or from `now` (seconds since the epoch) where that is earlier: so
        neither a clock nor a record that is ahead deletes what is recent, and what a replay of past years
        brought stays. Whole days (UTC) go, so that this changes something once a day at most.
        """
        if table not in AGES:
            raise ValueError(f"{table!r} is no table that grows with time; these are {', '.join(AGES)}")
        when = f"epoch_us({AGES[table]})"
        row = self._connection.execute(f"SELECT max({when}) FROM {table}").fetchone()  # noqa: S608 - our names
        if row is None or row[0] is None:
            return 0
        until = min(row[0], round(now * 1e6)) - round(keep.total_seconds() * 1e6)
        count = self._count(
            f"DELETE FROM {table} WHERE {when} < ?",  # noqa: S608 - our names
            [until // _DAY_US * _DAY_US],
        )
        self.changed_rows += count
        return count

    def _advance(self, topic: str, records: Sequence[tuple[Record, _T]]) -> list[tuple[Record, _T]]:
        """Return the records that were not loaded before, and note their offsets as loaded."""
        next_offsets: dict[int, int] = dict(
            self._connection.execute(
                "SELECT partition, next_offset FROM meta.offsets WHERE topic = ?", [topic]
            ).fetchall()
        )
        fresh = []
        for record, payload in records:
            if record.offset >= next_offsets.get(record.partition, 0):
                fresh.append((record, payload))
                next_offsets[record.partition] = record.offset + 1
        if fresh:
            self._connection.execute("DELETE FROM meta.offsets WHERE topic = ?", [topic])
            self._connection.executemany(
                "INSERT INTO meta.offsets VALUES (?, ?, ?)",
                [[topic, partition, offset] for partition, offset in sorted(next_offsets.items())],
            )
            self.changed_rows += 1
        return fresh

    def _add(self, rows: pa.Table, statement: str) -> int:
        self._connection.register("incoming", rows)
        try:
            count = self._count(statement)
        finally:
            self._connection.unregister("incoming")
        self.changed_rows += count
        return count

    def _columns(self, table: str) -> list[str]:
        _require(table)
        rows = self._connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = ?"
            " AND database_name = current_database() ORDER BY column_index",
            [table],
        ).fetchall()
        return [name for (name,) in rows]

    def _stage(self, table: str, columns: Sequence[str], rows: pa.Table | Path) -> None:
        """Put the rows into a temporary table with the target's column types."""
        self._connection.execute(f"CREATE TEMP TABLE staged AS FROM {table} LIMIT 0")
        names = ", ".join(columns)
        try:
            if isinstance(rows, Path):
                self._connection.execute(
                    f"INSERT INTO staged SELECT {names} FROM read_parquet(?)",  # noqa: S608
                    [str(rows)],
                )
            else:
                self._connection.register("incoming", rows)
                self._connection.execute(f"INSERT INTO staged SELECT {names} FROM incoming")  # noqa: S608
                self._connection.unregister("incoming")
        except (duckdb.BinderException, duckdb.ConversionException) as error:
            raise InvalidRows(f"rows for {table} need the columns {names}: {error}") from error
        key = ", ".join(KEYS[table])
        nulls = " OR ".join(f"{name} IS NULL" for name in KEYS[table])
        bad = self._connection.execute(
            f"SELECT {key}, count(*) FROM staged GROUP BY ALL HAVING count(*) > 1 OR {nulls} LIMIT 1"  # noqa: S608
        ).fetchone()
        if bad is not None:
            raise InvalidRows(f"rows for {table} are not one per ({key}): {bad[:-1]} comes {bad[-1]} times")

    def _count(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        row = self._connection.execute(statement, list(parameters)).fetchone()
        return int(row[0]) if row is not None else 0


def _require(table: str) -> None:
    if table not in KEYS:
        raise ValueError(f"{table!r} is no table of the batch; these are {', '.join(KEYS)}")


def _signal_row(signal: Signal) -> dict[str, Any]:
    # An ISO date; of intraday bars the time they opened.
    opened = datetime.fromisoformat(signal.bar)
    return {
        "id": signal.id,
        "pipeline": signal.pipeline,
        "symbol": signal.symbol,
        "rule": signal.rule,
        "side": signal.side,
        "price": signal.price,
        "ts": signal.ts,
        "bar": opened.date(),
        "bar_opened": opened if "T" in signal.bar else None,
        "indicator_values": list(signal.values.items()),
        "confidence": signal.confidence,
        "source": signal.source,
        "strength": 1.0 if signal.strength is None else signal.strength,
    }
