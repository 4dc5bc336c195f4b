"""Readers: never a failed, torn or stale query across swaps; bounds on age; leases."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from stockpipeline.store import open_replica
from stockpipeline.store.errors import NoReplica, TooStale
from stockpipeline.store.replica_folder import ReplicaFolder
from tests.integration.store.conftest import World
from tests.integration.store.masters import SUMS_QUERY
from tests.integration.store.swaps import hammer

SWAPS = 40


def test_swaps_under_eight_busy_threads_fail_tear_and_age_nothing(tmp_path: Path) -> None:
    result = hammer(tmp_path, swaps=SWAPS, threads=8)
    assert result.errors == []
    assert (result.torn, result.stale) == (0, 0)
    assert result.swaps == SWAPS
    assert result.queries > SWAPS
    assert len(result.generations_seen) > 2


def test_a_snapshot_stays_at_its_generation(world: World) -> None:
    first = world.publish_and_pull()
    replica = open_replica(world.replica)
    with replica.read() as snapshot:
        for _ in range(4):
            last = world.publish_and_pull()
        assert snapshot.generation == first
        assert snapshot.execute(SUMS_QUERY).fetchall() == [world.sums[first]]
        with replica.read() as newer:
            assert newer.generation == last
            assert newer.execute(SUMS_QUERY).fetchall() == [world.sums[last]]
        # The current and the previous one are kept, and the one with a lease.
        kept = [stored.manifest.generation for stored in ReplicaFolder(world.replica).stored()]
        assert kept == [first, last - 1, last]
    world.puller.pull()
    kept = [stored.manifest.generation for stored in ReplicaFolder(world.replica).stored()]
    assert kept == [last - 1, last]
    replica.close()


def test_a_file_that_duckdb_has_open_without_a_lease_is_not_built_in(world: World) -> None:
    first = world.publish_and_pull()
    current = ReplicaFolder(world.replica).current()
    assert current is not None
    # In a process of its own: DuckDB's lock is the process's, and pulling here would drop it.
    foreign = subprocess.Popen(
        [sys.executable, "-c", _READ_WHEN_TOLD, current.path, SUMS_QUERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert foreign.stdout is not None
    assert foreign.stdout.readline() == "open\n"
    for _ in range(5):
        world.publish_and_pull()
    assert not current.path.exists()
    out, _ = foreign.communicate("\n")
    assert out == f"[{world.sums[first]}]\n"


# Opens the database without reading its rows, so that they come from the file later.
_READ_WHEN_TOLD = """
import duckdb, sys
database = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.readline()
print(database.execute(sys.argv[2]).fetchall())
"""


def test_age_is_bounded_per_read(world: World) -> None:
    generation = world.publish_and_pull()
    replica = open_replica(world.replica)
    with replica.read(max_lag=60) as snapshot:
        assert snapshot.generation == generation
        assert 0 <= snapshot.lag_seconds < 60
    replica._now = lambda: time.time() + 100
    with pytest.raises(TooStale, match=rf"generation {generation} .* more than the allowed 60 s"):
        replica.read(max_lag=60).__enter__()
    with replica.read() as snapshot:
        assert snapshot.lag_seconds > 60
    replica.close()


def test_without_a_generation_readers_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoReplica, match="nothing was pulled yet"), open_replica(tmp_path).read():
        pass


def test_closing_waits_for_snapshots(world: World) -> None:
    world.publish_and_pull()
    replica = open_replica(world.replica)
    with replica.read() as snapshot:
        replica.close()
        assert snapshot.execute(SUMS_QUERY).fetchall() == [world.sums[1]]
    with pytest.raises(duckdb.ConnectionException):
        snapshot.execute(SUMS_QUERY)
