"""What a master says of itself: commits, schema, row counts and business checksums.

Read in the publisher's process, through DuckDB and while the file is locked against writers. The sums are
exact and independent of row order and of DuckDB's version (integers, no hashes of the engine), so that
anyone can check a copy by one query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import duckdb

from stockpipeline.store.errors import MasterUnusable
from stockpipeline.store.manifest import Commit, Schema, TableFacts
from stockpipeline.store.writer import last_commit

# Prices to a hundredth of a cent, volumes to a share.
_PRICES = "sum(({column} * 10000)::HUGEINT)"
_SHARES = "sum({column}::HUGEINT)"
_LAST = "max({column})"
_LAST_TIME = "max({column}::TIMESTAMP)"

SUMS: Mapping[str, Mapping[str, str]] = {
    "bars": {"close": _PRICES, "volume": _SHARES, "session": _LAST},
    "indicators": {"session": _LAST},
    "watchlist": {"price": _PRICES, "session": _LAST},
    "quality": {"session": _LAST},
    "signals": {"price": _PRICES, "ts": _LAST_TIME},
    "performance": {"recorded_at": _LAST_TIME},
}
"""Table → column → SQL of its business checksum; other tables have their rows counted only."""


@dataclass(frozen=True)
class MasterFacts:
    """What a manifest says about the content."""

    commit: Commit
    continues: bool
    schema: Schema
    tables: dict[str, TableFacts]
    duckdb_version: str
    storage_version: str


def read_facts(path: Path, published: Commit | None) -> MasterFacts:
    """Return the facts of a master; `continues` says whether its history contains the commit `published`.

    Raises:
        MasterUnusable: our writer did not make the file, or never committed to it.
    """
    try:
        # One thread and little memory: this shares a pod with the writer.
        with duckdb.connect(
            str(path), read_only=True, config={"threads": 1, "memory_limit": "128MB"}
        ) as database:
            return _facts(database, path, published)
    except duckdb.Error as error:
        raise MasterUnusable(f"master {path}: {str(error).splitlines()[0]}") from error


def check_facts(path: Path, tables: Mapping[str, TableFacts]) -> list[str]:
    """Compare a copy's row counts and sums with those of its manifest; return in words what differs.

    Raises:
        MasterUnusable: the file cannot be read as a database.
    """
    try:
        with duckdb.connect(
            str(path), read_only=True, config={"threads": 1, "memory_limit": "128MB"}
        ) as database:
            actual = _tables(database, _schema(database))
    except duckdb.Error as error:
        raise MasterUnusable(f"{path}: {str(error).splitlines()[0]}") from error
    return [
        f"{table}: {actual.get(table)} instead of {expected}"
        for table, expected in tables.items()
        if actual.get(table) != expected
    ]


def fingerprint(schema: Schema) -> str:
    """Return 32 hex digits over tables, columns and types."""
    text = "".join(
        f"{table}\0{column}\0{kind}\n"
        for table, columns in sorted(schema.items())
        for column, kind in columns.items()
    )
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _facts(database: duckdb.DuckDBPyConnection, path: Path, published: Commit | None) -> MasterFacts:
    made_by_us = database.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'meta' AND table_name = 'commits'"
    ).fetchall()[0][0]
    commit = last_commit(database) if made_by_us else None
    if commit is None:
        raise MasterUnusable(
            f"master {path} has no commit of our writer (table meta.commits): nothing to publish"
        )
    continues = published is None or bool(
        database.execute(
            "SELECT 1 FROM meta.commits WHERE number = ? AND id = ?", [published.number, published.id]
        ).fetchone()
    )
    schema = _schema(database)
    version, storage = database.execute(
        "SELECT version(), tags['storage_version'] FROM duckdb_databases()"
        " WHERE database_name = current_database()"
    ).fetchall()[0]
    return MasterFacts(commit, continues, schema, _tables(database, schema), version, storage)


def _schema(database: duckdb.DuckDBPyConnection) -> Schema:
    rows = database.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE schema_name = 'main' AND NOT internal AND database_name = current_database()"
        " ORDER BY table_name, column_index"
    ).fetchall()
    schema: Schema = {}
    for table, column, kind in rows:
        schema.setdefault(table, {})[column] = kind
    return schema


def _tables(database: duckdb.DuckDBPyConnection, schema: Schema) -> dict[str, TableFacts]:
    facts = {}
    for table, columns in schema.items():
        sums = {column: sql for column, sql in SUMS.get(table, {}).items() if column in columns}
        expressions = "".join(f", {sql.format(column=column)}::VARCHAR" for column, sql in sums.items())
        quoted = table.replace('"', '""')
        row = database.execute(f'SELECT count(*){expressions} FROM "{quoted}"').fetchall()[0]  # noqa: S608
        facts[table] = TableFacts(
            row[0], {name: value for name, value in zip(sums, row[1:], strict=True) if value is not None}
        )
    return facts
