"""A day's change on masters of 500 MB and 5 GB: from commit to readable, next to ways of copying the file."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from stockpipeline.store import open_replica
from stockpipeline.store.blocks import BLOCK_BYTES
from stockpipeline.store.object_store import open_store
from stockpipeline.store.restore import restore
from tests.performance.replica.children import Child, PublisherChild, puller_child
from tests.performance.replica.masters import SYMBOLS, commit, make, make_tenfold, median, session
from tests.performance.report import Report

# The first generation is fetched whole, two are built from copies; from then on there is a spare to build in.
WARM_UP_DAYS = 3
MEASURED_DAYS = 5


def change_of_a_day(report: Report, folder: Path, size: str, rows: int) -> None:
    """Measure a day's change on a master of one size."""
    master = folder / "master.duckdb"
    (make_tenfold if size == "5gb" else make)(master, rows)
    whole = master.stat().st_size
    copied = median([_seconds(lambda: _copy_and_rename(master, folder / "copy")) for _ in range(3)])
    report.add(
        f"copy_{size}", copied, "s", note=f"{whole / 1e6:.0f} MB: copy, fsync, rename (the replaced way)"
    )
    with PublisherChild(folder) as publisher, puller_child(folder) as puller:
        publisher.ask()
        puller.ask()
        days = [_day(folder, day, publisher, puller) for day in range(1, WARM_UP_DAYS + MEASURED_DAYS + 1)]
        measured = days[WARM_UP_DAYS:]
        note = (
            f"publish {median([day.publish for day in measured]):.2f} s, "
            f"pull {median([day.pull for day in measured]):.2f} s; "
            f"before there was a spare to build in {max(day.total for day in days):.2f} s"
        )
        report.add(
            f"delta_{size}", median([day.total for day in measured]), "s", baseline=f"copy_{size}", note=note
        )
        report.add(
            f"moved_fraction_{size}",
            max(day.moved for day in measured) / master.stat().st_size,
            "1",
            note=f"{max(day.moved for day in measured) / 1e3:.0f} kB over the network, the most of a day",
        )
        report.add(
            f"rsync_{size}",
            _rsync_style(folder),
            "s",
            baseline=f"copy_{size}",
            note="read both, write blocks",
        )
        if size == "500mb":
            database = _seconds(lambda: _copy_from_database(master, folder / "copied.duckdb"))
            report.add("copy_from_database_500mb", database, "s", baseline="copy_500mb")
            out = folder / "restored.duckdb"
            restored = _seconds(lambda: restore(open_store(str(folder / "store")), out))
            report.add("restore_500mb", restored, "s", note="newest generation, verified")
            out.unlink()
        else:
            peaks = {"publisher": publisher.peak_mib(), "puller": puller.peak_mib()}
            note = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
            report.add("rss_5gb", max(peaks.values()), "MiB", note=f"highest resident memory: {note}")


@dataclass(frozen=True)
class _Day:
    """One day's change: seconds from commit to readable, of which publish and pull, and bytes moved."""

    total: float
    publish: float
    pull: float
    moved: int


def _day(folder: Path, day: int, publisher: Child, puller: Child) -> _Day:
    committed = commit(folder / "master.duckdb", day)
    published = publisher.ask()
    pulled = puller.ask()
    replica = open_replica(folder / "replica")
    with replica.read() as snapshot:
        (found,) = snapshot.execute("SELECT count(*) FROM bars WHERE session = ?", [session(day)]).fetchall()
    total = time.monotonic() - committed
    replica.close()
    assert found == (SYMBOLS,), f"day {day}: {found} rows are readable"
    moved = max(published["uploaded_bytes"], pulled["fetched_bytes"])
    return _Day(total, published["seconds"], pulled["seconds"], moved)


def _copy_and_rename(source: Path, target: Path) -> None:
    temporary = target.with_suffix(".new")
    shutil.copy2(source, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


def _rsync_style(folder: Path) -> float:
    """Bring the copy up to date: read both whole, write the blocks that differ."""

    def update() -> None:
        with (folder / "master.duckdb").open("rb") as source, (folder / "copy").open("r+b") as target:
            while data := source.read(BLOCK_BYTES):
                at = target.tell()
                if target.read(len(data)) != data:
                    target.seek(at)
                    target.write(data)
            target.truncate()
            os.fsync(target.fileno())

    return _seconds(update)


def _copy_from_database(source: Path, target: Path) -> None:
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
        database.execute(f"ATTACH '{target}' AS target")
        database.execute("COPY FROM DATABASE source TO target")
    target.unlink()


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started
