"""The faults that the store is made for, each with its outcome; docs/store.md has the same list.

Kills are in test_kills.py.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from stockpipeline.store.blocks import BLOCK_BYTES, HEADER_BYTES
from stockpipeline.store.collect import collect
from stockpipeline.store.contracts import Contract
from stockpipeline.store.errors import (
    ContractBroken,
    Damaged,
    Fenced,
    Forked,
    MasterBusy,
    MasterChanged,
    Missing,
    NoSpace,
    OnHold,
    Unavailable,
)
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.log import Log
from stockpipeline.store.master import LockedMaster
from stockpipeline.store.publish import Publisher
from stockpipeline.store.pull import Puller
from stockpipeline.store.reader import Replica
from stockpipeline.store.remote_store import RemoteStore
from stockpipeline.store.replica_folder import ReplicaFolder
from stockpipeline.store.restore import restore
from stockpipeline.store.retention import Retention
from stockpipeline.store.scrub import scrub_replica
from stockpipeline.store.verify import verify_all, verify_replica
from stockpipeline.store.writer import Writer
from tests.integration.servers import s3
from tests.integration.store.conftest import World
from tests.integration.store.masters import commit_day, sums_of


def current_sums(world: World) -> tuple[int, tuple[int, int]]:
    """The generation that readers open, and what it reads."""
    current = ReplicaFolder(world.replica).current()
    assert current is not None
    return current.manifest.generation, sums_of(current.path)


# The master


def test_no_writer_can_open_the_master_while_it_is_scanned(world: World) -> None:
    world.publish()
    with LockedMaster(world.master) as master:
        next(iter(master.blocks()))
        with pytest.raises(MasterBusy, match="locked"):
            Writer(world.master, patience_seconds=0.2)
    Writer(world.master).close()


def test_a_master_that_is_open_for_writing_is_not_published(world: World) -> None:
    generation = world.publish()
    opened = subprocess.Popen(
        [sys.executable, "-c", _HOLD_WRITE_LOCK, world.master], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert opened.stdout is not None
    opened.stdout.readline()
    with pytest.raises(MasterBusy, match="open for writing"):
        world.publisher.publish()
    opened.communicate(b"\n")
    assert world.publisher.publish().generation == generation


# What DuckDB does when it opens a file for writing, in a process of its own.
_HOLD_WRITE_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
"""


def test_a_checkpoint_past_the_lock_during_a_scan_publishes_nothing(world: World) -> None:
    generation = world.publish()
    world.day += 1
    commit_day(world.master, world.day)
    with LockedMaster(world.master) as master, world.master.open("r+b") as rogue:
        scan = master.blocks()
        next(scan)
        rogue.seek(5000)  # the header of a checkpoint
        rogue.write(bytes(16))
        rogue.flush()
        with pytest.raises(MasterChanged, match="written to while it was read"):
            list(scan)
    assert Log(world.store).generation().generation == generation


def test_a_master_that_was_not_closed_is_not_published(world: World) -> None:
    world.publish()
    wal = world.master.with_name("master.duckdb.wal")
    wal.write_bytes(b"left by a kill")
    with pytest.raises(MasterBusy, match="start the writer again"):
        world.publisher.publish()


# Bytes at rest


@pytest.fixture
def three(world: World) -> World:
    """A world with three generations, the last of which is current."""
    for _ in range(3):
        world.publish_and_pull()
    return world


def damage_replica(world: World, block: int, data: bytes) -> Path:
    """Overwrite the beginning of a block of the file that readers open."""
    current = ReplicaFolder(world.replica).current()
    assert current is not None
    with current.path.open("r+b") as file:
        file.seek(HEADER_BYTES + (block - 1) * BLOCK_BYTES)
        file.write(data)
    return current.path


def test_a_flipped_bit_in_a_block_that_no_query_reads_is_found_and_mended(three: World) -> None:
    current = ReplicaFolder(three.replica).current()
    assert current is not None
    content = current.path.read_bytes()
    at = HEADER_BYTES + 2 * BLOCK_BYTES - 1
    damaged = damage_replica(three, 2, b"")
    with damaged.open("r+b") as file:
        file.seek(at)
        file.write(bytes([content[at] ^ 1]))
    folder = ReplicaFolder(three.replica)
    assert not verify_replica(folder).good
    assert not scrub_replica(folder, None).good
    report = scrub_replica(folder, three.puller)
    assert (report.good, report.repaired) == (True, 1)
    assert verify_replica(folder).good
    assert not damaged.exists()  # mended in a file of its own
    assert current_sums(three) == (3, three.sums[3])


def test_a_block_of_another_generation_in_place_is_found_and_mended(three: World) -> None:
    folder = ReplicaFolder(three.replica)
    before, current = folder.previous(), folder.current()
    assert before is not None
    assert current is not None
    differing = next(
        number
        for number, (old, new) in enumerate(zip(before.index(), current.index(), strict=False))
        if number and old.digest != new.digest
    )
    with before.path.open("rb") as file:
        file.seek(HEADER_BYTES + (differing - 1) * BLOCK_BYTES)
        damage_replica(three, differing, file.read(BLOCK_BYTES))
    assert scrub_replica(folder, three.puller).repaired == 1
    assert current_sums(three) == (3, three.sums[3])


def one_new_block(world: World) -> Path:
    """The file of a block in the store that only HEAD refers to."""
    head = Log(world.store).generation()
    return next((world.folder / "store" / "blocks" / f"{head.generation:012d}").iterdir())


@pytest.mark.parametrize("fault", ["truncated", "missing", "of another block", "flipped"])
def test_a_damaged_object_is_never_seen_and_republishing_heals_it(three: World, fault: str) -> None:
    generation = three.publish()
    path = one_new_block(three)
    data = path.read_bytes()
    match fault:
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "missing":
            path.unlink()
        case "of another block":
            shutil.copy(
                next(other for other in path.parent.parent.glob("*1/*") if other.name != path.name), path
            )
        case "flipped":
            path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    with pytest.raises((Damaged, Missing), match=path.name):
        three.puller.pull()
    assert current_sums(three) == (3, three.sums[3])
    assert not verify_all(three.store).good
    report = three.publisher.publish(repair=True)
    assert report.published
    assert three.puller.pull().generation == generation + 1
    assert current_sums(three)[1] == three.sums[generation]


@pytest.mark.parametrize("folder", ["manifests", "pages"])
def test_a_damaged_manifest_or_index_is_healed_by_the_next_generation(three: World, folder: str) -> None:
    generation = three.publish()
    for path in (three.folder / "store" / folder).rglob(f"*{generation:012d}*"):
        for file in [path] if path.is_file() else path.iterdir():
            file.write_bytes(b"damaged")
    with pytest.raises(Damaged):
        three.puller.pull()
    assert current_sums(three) == (3, three.sums[3])
    healed = three.publish_and_pull()
    assert current_sums(three) == (healed, three.sums[healed])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 4 MiB, two small generations and a bit."""
    path = tmp_path / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", path], check=False).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def fill(disk: Path, room: int = 300_000) -> None:
    """Leave so few bytes of room that no generation fits in."""
    (disk / "others").write_bytes(bytes(os.statvfs(disk).f_bavail * 4096 - room))


def test_a_full_disk_leaves_what_is_served(world: World, small_disk: Path) -> None:
    puller = Puller(world.store, small_disk / "replica")
    world.publish()
    generation = puller.pull().generation
    fill(small_disk)
    world.publish()
    with pytest.raises(NoSpace, match="free some"):
        puller.pull()
    assert verify_replica(puller.folder).good
    current = puller.folder.current()
    assert current is not None
    assert current.manifest.generation == generation
    (small_disk / "others").unlink()
    assert puller.pull().generation == generation + 1


def test_a_full_disk_of_the_object_store_leaves_what_is_published(world: World, small_disk: Path) -> None:
    store = FileStore(small_disk / "store")
    publisher = Publisher(store, world.master, writer="test")
    commit_day(world.master, 1)
    publisher.publish()
    fill(small_disk, room=8192)
    sums = commit_day(world.master, 2)
    with pytest.raises(Unavailable, match="No space left"):
        publisher.publish()
    assert Log(store).generation().generation == 1
    assert verify_all(store).good
    (small_disk / "others").unlink()
    assert publisher.publish().generation == 2
    assert Puller(store, world.replica).pull().generation == 2
    assert current_sums(world) == (2, sums)


def test_a_restore_onto_a_full_disk_leaves_no_file_and_goes_on_later(world: World, small_disk: Path) -> None:
    generation = world.publish()
    out = small_disk / "out.duckdb"
    fill(small_disk)
    with pytest.raises(NoSpace, match="free some"):
        restore(world.store, out)
    assert not out.exists()
    (small_disk / "others").unlink()
    assert restore(world.store, out).generation == generation
    assert sums_of(out) == world.sums[generation]


# Writers


def test_a_writer_that_was_replaced_is_fenced(world: World, tmp_path: Path) -> None:
    generation = world.publish()
    other_master = tmp_path / "other.duckdb"
    restore(world.store, other_master)
    other = Publisher(world.store, other_master, writer="other node")
    commit_day(other_master, 2)
    assert other.publish().generation == generation + 1
    commit_day(world.master, 2, offset=5)
    with pytest.raises(Fenced, match="other node has taken over"):
        world.publisher.publish()
    assert Log(world.store).generation().generation == generation + 1
    # Its history is another one now, so taking over alone does not let it publish.
    world.publisher.take_over()
    with pytest.raises(Forked):
        world.publisher.publish()


def test_of_writers_that_publish_at_once_one_wins_each_generation(world: World, tmp_path: Path) -> None:
    world.publish()
    masters = [tmp_path / f"master-{number}.duckdb" for number in range(4)]
    outcomes: list[str] = []
    for number, master in enumerate(masters):
        restore(world.store, master)
        commit_day(master, 2, offset=number)

    def publish(number: int) -> None:
        try:
            Publisher(FileStore(tmp_path / "store"), masters[number], writer=f"w{number}").publish()
        except (Fenced, Forked) as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("published")

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("published") == 1
    assert [one.generation for one in Log(world.store).generations()] == [1, 2]
    assert verify_all(world.store).good


def test_a_writer_from_an_older_backup_is_told_and_replicas_hold_until_they_are_told(
    three: World, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.duckdb"
    restore(three.store, backup, generation=2)
    three.master.unlink()
    backup.rename(three.master)
    commit_day(three.master, 9)
    with pytest.raises(Forked, match="does not contain commit 3"):
        three.publisher.publish()
    three.puller.pull()
    assert current_sums(three) == (3, three.sums[3])
    assert three.publisher.publish(accept_fork=True).generation == 4
    with pytest.raises(OnHold, match="not a descendant of generation 3"):
        three.puller.pull()
    assert current_sums(three) == (3, three.sums[3])
    assert "not a descendant" in (three.puller.folder.status().trouble or "")
    three.puller.pull(accept_fork=True)
    assert current_sums(three) == (4, sums_of(three.master))


def test_replicas_hold_when_the_store_goes_back(three: World, tmp_path: Path) -> None:
    backup = shutil.copytree(three.folder / "store", tmp_path / "backup")
    three.publish_and_pull()
    shutil.rmtree(three.folder / "store")
    shutil.copytree(backup, three.folder / "store")
    with pytest.raises(OnHold, match="went back"):
        three.puller.pull()
    assert current_sums(three) == (4, three.sums[4])


# Schema, clocks


def test_a_schema_that_breaks_a_contract_is_not_published_and_not_pulled(three: World) -> None:
    contract = Contract("console", {"bars": {"symbol": "VARCHAR", "close": "DOUBLE"}})
    with Writer(three.master) as writer, writer.transaction("rename") as transaction:
        writer._connection.execute("ALTER TABLE bars RENAME COLUMN close TO last")
        transaction.changed_rows += 1
    publisher = Publisher(three.store, three.master, writer="test", contracts=[contract])
    with pytest.raises(ContractBroken, match="bars has no column close"):
        publisher.publish()
    assert Log(three.store).generation().generation == 3
    three.publisher.publish()  # a publisher that was not told of the contract
    with pytest.raises(ContractBroken, match=r"generation 4 of .* bars has no column close"):
        Puller(three.store, three.replica, contracts=[contract]).pull()
    assert current_sums(three) == (3, three.sums[3])


@pytest.mark.parametrize("skew_seconds", [-86_400.0, 86_400.0])
def test_a_wrong_clock_of_the_writer_changes_neither_order_nor_lag(world: World, skew_seconds: float) -> None:
    world.publish_and_pull()
    world.publisher._now = lambda: time.time() + skew_seconds
    world.publish_and_pull()
    world.publisher._now = time.time
    last = world.publish_and_pull()
    times = [one.published_ms for one in Log(world.store).generations()]
    assert times == sorted(set(times))
    replica = Replica(world.replica)
    with replica.read(max_lag=60) as snapshot:
        assert snapshot.generation == last
    replica.close()


@pytest.mark.parametrize("skew_seconds", [-86_400.0, 86_400.0])
def test_a_wrong_clock_of_the_replica_changes_neither_content_nor_order(
    world: World, skew_seconds: float
) -> None:
    """Its readers are on the same machine, so that their bound of the lag has the same clock."""

    def skewed() -> float:
        return time.time() + skew_seconds

    world.publish()
    puller = Puller(world.store, world.replica, now=skewed)
    for _ in range(3):
        generation = world.publish()
        assert puller.pull().generation == generation
        assert current_sums(world) == (generation, world.sums[generation])
    replica = Replica(world.replica, now=skewed)
    with replica.read(max_lag=60) as snapshot:
        assert snapshot.generation == generation
    replica.close()


def test_a_garbage_collector_whose_clock_is_years_ahead_keeps_what_replicas_need(three: World) -> None:
    report = collect(
        three.store,
        Retention(hours=48, days=35, months=12, grace_seconds=0),
        now=lambda: time.time() + 10 * 365 * 86_400,
    )
    assert report.kept[-1] == 3
    assert verify_all(three.store).good
    generation = three.publish_and_pull()
    assert current_sums(three) == (generation, three.sums[generation])


# The object store


class Faulty(FileStore):
    """A store that is down, or answers half of what was asked for."""

    fault = ""

    def get(self, key: str) -> bytes:
        if self.fault == "down":
            raise Unavailable(f"{key}: connection refused")
        data = super().get(key)
        return data[: len(data) // 2] if self.fault == "half" else data

    def list(self, prefix: str, after: str = "") -> Iterator[object]:  # type: ignore[override]
        if self.fault == "down":
            raise Unavailable(f"{prefix}: connection refused")
        return super().list(prefix, after)


@pytest.mark.parametrize(("fault", "error"), [("down", Unavailable), ("half", Damaged)])
def test_with_a_store_that_fails_the_last_good_data_is_read(
    world: World, fault: str, error: type[Exception]
) -> None:
    world.publish_and_pull()
    world.publish()
    store = Faulty(world.folder / "store")
    puller = Puller(store, world.replica)
    store.fault = fault
    with pytest.raises(error):
        puller.pull()
    assert current_sums(world) == (1, world.sums[1])
    assert puller.folder.status().trouble
    store.fault = ""
    assert puller.pull().generation == 2
    assert puller.folder.status().trouble is None


class Failing(FileStore):
    """A store that goes down at one of its writes, before or after that has been done."""

    writes_left = 0
    done = False

    def put(self, key: str, data: bytes) -> None:
        self._fail(key, lambda: FileStore.put(self, key, data))

    def create(self, key: str, data: bytes) -> None:
        self._fail(key, lambda: FileStore.create(self, key, data))

    def _fail(self, key: str, write: Callable[[], None]) -> None:
        self.writes_left -= 1
        if self.writes_left == 0 and not self.done:
            raise Unavailable(f"{key}: connection refused")
        write()
        if self.writes_left == 0:
            raise Unavailable(f"{key}: connection lost")


@pytest.mark.parametrize("done", [False, True])
def test_a_store_that_goes_down_at_any_write_of_a_publication(world: World, done: bool) -> None:
    """What was published stays whole, and publishing again makes exactly one generation of it."""
    world.publish()
    for write in itertools.count(1):
        store = Failing(world.folder / "store")
        store.writes_left, store.done = write, done
        world.day += 1
        sums = commit_day(world.master, world.day)
        publisher = Publisher(store, world.master, writer="test")
        before = Log(world.store).generation().generation
        try:
            publisher.publish()
        except Unavailable:
            assert verify_all(world.store).good
            assert world.publisher.publish().generation == before + 1
        assert world.puller.pull().generation == before + 1
        assert current_sums(world) == (before + 1, sums)
        if store.writes_left > 0:
            assert write > 3, "the failure was really put between the writes"
            return


def test_s3_that_is_lost_while_publishing(world: World, s3_server: s3.Server, s3_store: RemoteStore) -> None:
    commit_day(world.master, 1)
    Publisher(s3_store, world.master, writer="test").publish()
    impatient = RemoteStore(s3_store.url, request_timeout=timedelta(seconds=1), retries=0)
    sums = commit_day(world.master, 2)
    s3_server.freeze()
    try:
        with pytest.raises(Unavailable):
            Publisher(impatient, world.master, writer="test").publish()
    finally:
        s3_server.thaw()
    assert Log(s3_store).generation().generation == 1
    assert Publisher(s3_store, world.master, writer="test").publish().generation == 2
    assert Puller(s3_store, world.replica).pull().generation == 2
    assert current_sums(world) == (2, sums)


@pytest.mark.usefixtures("s3_store")
def test_a_store_that_hangs_is_given_up(s3_server: s3.Server) -> None:
    store = RemoteStore("s3://test/hang", request_timeout=timedelta(seconds=1), retries=0)
    s3_server.freeze()
    try:
        with pytest.raises(Unavailable):
            store.get("anything")
    finally:
        s3_server.thaw()


def test_the_whole_way_through_s3(world: World, s3_store: RemoteStore, tmp_path: Path) -> None:
    publisher = Publisher(s3_store, world.master, writer="test")
    puller = Puller(s3_store, world.replica)
    for day in range(1, 4):
        sums = commit_day(world.master, day)
        publisher.publish()
        puller.pull()
    assert current_sums(world) == (3, sums)
    report = collect(s3_store, Retention(hours=0, days=1, months=0, grace_seconds=0))
    assert report.kept == [3]
    assert verify_all(s3_store).good
    assert restore(s3_store, tmp_path / "out.duckdb").generation == 3
    assert sums_of(tmp_path / "out.duckdb") == sums
