"""What the master keeps, and how the space of the rest is given back; killed anywhere, all else stays."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from stockpipeline.store.errors import NoSpace
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.loads import Transaction
from stockpipeline.store.publish import Publisher
from stockpipeline.store.writer import Writer
from tests.integration.store.kills import killed_at_step
from tests.integration.store.masters import commit_day, sums_of


def rows(master: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(master), read_only=True) as database:
        return database.execute(query).fetchall()


def aged(master: Path, days: int, rows_a_day: int = 20_000) -> None:
    """Make a master with performance of as many days, from 1 January 2024 on."""
    with Writer(master) as writer, writer.transaction("days") as load:
        writer._connection.execute(
            "INSERT INTO performance SELECT 'id-' || i, TIMESTAMPTZ '2024-01-01 12:00:00+00'"
            f" + to_days((i // {rows_a_day})::INTEGER), hash(i)::VARCHAR FROM range({days * rows_a_day}) r(i)"
        )
        load.changed_rows += 1


FIRST_OF_2024 = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
PERFORMANCE = "SELECT count(*), bit_xor(hash(signal_id, recorded_at, record)) FROM performance"
IN_ORDER = (
    "SELECT bool_and(later) FROM"
    " (SELECT recorded_at >= lag(recorded_at) OVER (ORDER BY rowid) AS later FROM performance)"
)


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (FIRST_OF_2024 + 40 * 86_400, 6),  # later than all rows: the newest counts
        (FIRST_OF_2024 + 400 * 86_400, 6),  # a clock that is a year ahead deletes no more
        (FIRST_OF_2024 + 5.9 * 86_400, 1),  # rows of the future do not make others old
        (FIRST_OF_2024, 0),
    ],
)
def test_rows_that_are_too_old_go_by_whole_days(tmp_path: Path, now: float, gone: int) -> None:
    master = tmp_path / "master.duckdb"
    aged(master, 11, rows_a_day=10)
    with Writer(master) as writer:
        for count in (10 * gone, 0):
            with writer.transaction("history") as load:
                assert load.forget("performance", timedelta(days=4), now) == count
                assert load.forget("bars", timedelta(days=4), now) == 0
                assert load.changed_rows == count
        with pytest.raises(ValueError, match="'watchlist' is no table that grows"):
            Transaction(writer._connection).forget("watchlist", timedelta(days=1), now)


def test_forgotten_bars_are_those_of_old_sessions(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    for day in range(5):
        commit_day(master, day)
    with Writer(master) as writer, writer.transaction("history") as load:
        assert load.forget("bars", timedelta(days=2), time.time()) == 400
    found = rows(master, "SELECT min(session)::VARCHAR, count(*) FROM bars")
    assert found == [("2024-01-03", 600)]


def test_a_compaction_gives_space_back_and_keeps_days_apart(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    aged(master, 40)
    with Writer(master) as writer, writer.transaction("history") as load:
        assert load.forget("performance", timedelta(days=4), time.time()) == 35 * 20_000
    before, expected = master.stat().st_size, rows(master, PERFORMANCE)
    with Writer(master) as writer:
        space = writer.space()
        after = writer.compact()
    assert space.free_share > 0.5
    assert after.used <= space.used
    assert master.stat().st_size < before / 2
    assert rows(master, PERFORMANCE) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["master.duckdb"]
    # In the order of days, so that a day's change is in few blocks.
    assert rows(master, IN_ORDER) == [(True,)]
    publisher = Publisher(FileStore(tmp_path / "store"), master, writer="test")
    publisher.publish()
    commit_day(master, 41)
    assert publisher.publish().changed_blocks <= 8


def test_a_kill_in_a_compaction_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    master = tmp_path / "master.duckdb"
    aged(master, 30, rows_a_day=5000)
    with Writer(master) as writer, writer.transaction("history") as load:
        load.forget("performance", timedelta(days=4), time.time())
    expected, whole = rows(master, PERFORMANCE), master.read_bytes()
    statuses = []
    for step in range(1, 20):
        master.write_bytes(whole)
        statuses.append(killed_at_step(step, lambda: Writer(master).compact()))
        with Writer(master):
            pass
        assert rows(master, PERFORMANCE) == expected, f"killed before step {step}"
        if statuses[-1] == 0:
            break
    assert statuses[-1] == 0, "not all steps were tried"
    assert len(statuses) >= 3
    left = tmp_path / "master.duckdb.compacted"
    left.write_bytes(b"of a kill")
    Writer(master).compact()
    assert not left.exists()


def test_a_compaction_without_room_leaves_the_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master = tmp_path / "master.duckdb"
    sums = commit_day(master, 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with Writer(master) as writer, pytest.raises(NoSpace, match=r"cannot be compacted: .* 1000 are free"):
        writer.compact()
    assert sums_of(master) == sums
