"""The writer: exactly once, all or nothing, and migrations in order."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stockpipeline.signals.signal import Signal
from stockpipeline.store.errors import MasterUnusable
from stockpipeline.store.loads import InvalidRows, Record
from stockpipeline.store.migrations import MIGRATIONS, Migration, migrate
from stockpipeline.store.writer import Writer
from tests.integration.store.masters import bars_of, commit_day, sums_of

TOPIC = "ns.demo.signals"


def signal_record(offset: int, partition: int = 0) -> tuple[Record, Signal]:
    identity = f"{partition}-{offset}"
    made = Signal(
        identity, "ns/demo", "AAPL", "rsi-oversold", "buy", 10.0 + offset, 1_700_000_000_000 + offset,
        "2024-01-03", {"rsi14": 29.8}, 1.0, "replay",
    )  # fmt: skip
    return Record(partition, offset, "AAPL", b"", made.ts), made


def rows(master: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(master), read_only=True) as database:
        return database.execute(query).fetchall()


def test_records_that_come_again_are_loaded_once(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    with Writer(master) as writer:
        for first, last in ((0, 5), (3, 8), (0, 8)):
            with writer.transaction("signals") as load:
                load.load_signals(TOPIC, [signal_record(offset) for offset in range(first, last)])
        assert writer.offsets(TOPIC) == {0: 8}
        commit = writer.last_commit()
        assert commit is not None
        assert commit.number == 2  # the third transaction changed nothing
    assert rows(master, "SELECT count(*), count(DISTINCT id), sum(price)::INT FROM signals") == [(8, 8, 108)]
    assert rows(master, "SELECT indicator_values['rsi14'], bar FROM signals LIMIT 1") == [
        (29.8, date(2024, 1, 3))
    ]


def test_signals_of_intraday_bars_keep_when_their_bar_opened(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    record, daily = signal_record(0)
    intraday = msgspec.structs.replace(daily, id="later", bar="2024-01-03T14:30Z", strength=0.25)
    with Writer(master) as writer, writer.transaction("signals") as load:
        assert load.load_signals(TOPIC, [(record, daily), (signal_record(1)[0], intraday)]) == 2
    asked = "SELECT bar, epoch(bar_opened), strength FROM signals ORDER BY strength"
    assert rows(master, asked) == [(date(2024, 1, 3), 1704292200.0, 0.25), (date(2024, 1, 3), None, 1.0)]


def test_performance_is_history(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    records = [Record(1, offset, "id-1", b'{"r": %d}' % offset, 1_700_000_000_000) for offset in range(3)]
    with Writer(master) as writer, writer.transaction("performance") as load:
        assert load.load_performance("ns.demo.performance", records) == 3
        assert load.load_performance("ns.demo.performance", records) == 0
    assert rows(master, "SELECT record FROM performance ORDER BY record") == [
        ('{"r": 0}',), ('{"r": 1}',), ('{"r": 2}',)
    ]  # fmt: skip


def test_a_kill_leaves_rows_and_offsets_as_one(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    Writer(master).close()
    for killed_at in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                with Writer(master) as writer, writer.transaction("signals") as load:
                    steps = iter(range(4))
                    kill_at(next(steps), killed_at)
                    load.load_signals(TOPIC, [signal_record(offset) for offset in range(killed_at + 1)])
                    kill_at(next(steps), killed_at)
                    load.load("bars", bars_of(killed_at))
                    kill_at(next(steps), killed_at)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        with Writer(master) as writer:
            done = writer.offsets(TOPIC).get(0, 0)
        assert rows(master, "SELECT count(*) FROM signals") == [(done,)]


def kill_at(step: int, wanted: int) -> None:
    if step == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_failing_load_leaves_nothing(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    before = commit_day(master, 1)
    with Writer(master) as writer:
        twice = pa.concat_tables([bars_of(3), bars_of(3)])
        with pytest.raises(InvalidRows, match="not one per"), writer.transaction("bad") as load:
            assert [load.load("bars", batch) for batch in (bars_of(2), twice)] == []
        with pytest.raises(InvalidRows, match="need the columns"), writer.transaction("bad") as load:
            load.load("bars", bars_of(2).drop(["close"]))
    assert sums_of(master) == before


def test_a_batch_that_runs_again_or_is_corrected_changes_only_what_differs(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    parquet = tmp_path / "day.parquet"
    pq.write_table(bars_of(1), parquet)
    with Writer(master) as writer:
        with writer.transaction("day") as load:
            assert load.load("bars", parquet) == 200
        with writer.transaction("day again") as load:
            assert load.load("bars", parquet) == 0
            assert load.changed_rows == 0
        corrected = bars_of(1).to_pylist()
        corrected[7]["close"] += 1
        with writer.transaction("correction") as load:
            assert load.load("bars", pa.Table.from_pylist(corrected)) == 1
    assert rows(master, "SELECT count(*) FROM bars") == [(200,)]


def test_replacing_sessions_leaves_what_is_given_and_all_others(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    for day in range(4):
        commit_day(master, day)
    with Writer(master) as writer:
        some = bars_of(1).slice(0, 150)
        with writer.transaction("fewer") as load:
            assert load.replace("bars", some, "2024-01-02", "2024-01-03") == 250
        with writer.transaction("again") as load:
            assert load.replace("bars", some, "2024-01-02", "2024-01-03") == 0
            assert load.changed_rows == 0
        with (
            pytest.raises(InvalidRows, match="are of 2024-01-02, not from"),
            writer.transaction("bad") as load,
        ):
            load.replace("bars", some, "2024-01-03", "2024-01-03")
    found = rows(master, "SELECT session::VARCHAR, count(*) FROM bars GROUP BY ALL ORDER BY ALL")
    assert found == [("2024-01-01", 200), ("2024-01-02", 150), ("2024-01-04", 200)]


def test_migrations_run_once_and_in_order(tmp_path: Path) -> None:
    newest = len(MIGRATIONS)
    one_more = Migration(newest + 1, "a column", ("ALTER TABLE quality ADD COLUMN severity VARCHAR",))
    with duckdb.connect(str(tmp_path / "master.duckdb")) as database:
        assert migrate(database) == list(range(1, newest + 1))
        assert migrate(database, (*MIGRATIONS, one_more)) == [newest + 1]
        assert migrate(database, (*MIGRATIONS, one_more)) == []
        unknown = f"schema version {newest + 1}, this program knows up to {newest}"
        with pytest.raises(MasterUnusable, match=unknown):
            migrate(database)
        edited = Migration(newest + 1, "a column", ("ALTER TABLE quality ADD COLUMN level VARCHAR",))
        with pytest.raises(MasterUnusable, match="made by other statements"):
            migrate(database, (*MIGRATIONS, edited))


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    newest = len(MIGRATIONS)
    broken = Migration(newest + 1, "broken", ("CREATE TABLE extra (x INTEGER)", "SELECT * FROM nothing"))
    with duckdb.connect(str(tmp_path / "master.duckdb")) as database:
        with pytest.raises(duckdb.CatalogException):
            migrate(database, (*MIGRATIONS, broken))
        assert database.execute("SELECT max(version) FROM meta.migrations").fetchall() == [(newest,)]
        assert database.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'extra'"
        ).fetchall() == [(0,)]
