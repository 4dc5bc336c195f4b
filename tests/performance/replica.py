"""`make bench-replica`: what a day's change costs from commit to readable, against copying; swaps; kills.

Runs on masters of 500 MB and 5 GB made of one table of daily bars (4,000 symbols). Publisher and puller are
processes of their own that stay, as in a cluster; a change is one more session. Needs 25 GB under build/.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from stockpipeline.store import open_replica
from stockpipeline.store.blocks import BLOCK_BYTES
from stockpipeline.store.object_store import open_store
from stockpipeline.store.restore import restore
from stockpipeline.store.writer import Writer
from tests.integration.store.masters import bars_of
from tests.integration.store.swaps import hammer
from tests.performance.replica_freshness import ages
from tests.performance.report import REPO, Report

_SYMBOLS = 4000
_ROWS_OF_500_MB = 15_000_000
_ROLES = ("publish", "pull", "swap", "gc", "restore")
# The first generation is fetched whole, two are built from copies; from then on there is a spare to build in.
_WARM_UP_DAYS = 3
_MEASURED_DAYS = 5
_REPLICAS = 20


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the size and of the counts")
    quick = parser.parse_args().quick
    report = Report("replica", quick=quick)
    shrink = 100 if quick else 1
    build = REPO / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-replica-") as name:
        folder = Path(name)
        _sized(report, folder / "500mb", "500mb", _ROWS_OF_500_MB // shrink)
        shutil.rmtree(folder / "500mb")
        _sized(report, folder / "5gb", "5gb", 10 * _ROWS_OF_500_MB // shrink)
        shutil.rmtree(folder / "5gb")
        _fan_out(report, folder / "fan-out", _ROWS_OF_500_MB // 10 // shrink)
        shutil.rmtree(folder / "fan-out")
        _freshness(report, folder, 10 if quick else 100)
        _swaps(report, folder, 1000 // (shrink // 4 or 1))
    _kills(report, 1000 // shrink)
    report.finish()


def _sized(report: Report, folder: Path, size: str, rows: int) -> None:
    """Measure a day's change on a master of one size."""
    folder.mkdir()
    master = folder / "master.duckdb"
    _make(master, rows)
    whole = master.stat().st_size
    copied = _median([_seconds(lambda: _copy_and_rename(master, folder / "copy")) for _ in range(3)])
    report.add(
        f"copy_{size}", copied, "s", note=f"{whole / 1e6:.0f} MB: copy, fsync, rename (the replaced way)"
    )
    with _Child("publish", folder) as publisher, _Child("pull", folder) as puller:
        publisher.ask()
        puller.ask()
        days = [_day(folder, day, publisher, puller) for day in range(1, _WARM_UP_DAYS + _MEASURED_DAYS + 1)]
        measured = days[_WARM_UP_DAYS:]
        note = (
            f"publish {_median([day.publish for day in measured]):.2f} s, "
            f"pull {_median([day.pull for day in measured]):.2f} s; "
            f"before there was a spare to build in {max(day.total for day in days):.2f} s"
        )
        report.add(
            f"delta_{size}", _median([day.total for day in measured]), "s", baseline=f"copy_{size}", note=note
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


def _day(folder: Path, day: int, publisher: _Child, puller: _Child) -> _Day:
    committed = _commit(folder / "master.duckdb", day)
    published = publisher.ask()
    pulled = puller.ask()
    replica = open_replica(folder / "replica")
    with replica.read() as snapshot:
        (found,) = snapshot.execute("SELECT count(*) FROM bars WHERE session = ?", [_session(day)]).fetchall()
    total = time.monotonic() - committed
    replica.close()
    assert found == (_SYMBOLS,), f"day {day}: {found} rows are readable"
    moved = max(published["uploaded_bytes"], pulled["fetched_bytes"])
    return _Day(total, published["seconds"], pulled["seconds"], moved)


def _freshness(report: Report, folder: Path, records: int) -> None:
    """Measure how long a signal takes from Kafka to a reader, with the services and the usual schedule."""
    (folder / "freshness").mkdir()
    found = ages(folder / "freshness", records)
    p99 = found[min(len(found) - 1, round(0.99 * len(found)))]
    note = f"{records} signals, from Kafka over store and replica to a reader; median {_median(found):.1f} s"
    report.add("freshness_p99", p99, "s", note=note)


def _fan_out(report: Report, folder: Path, rows: int) -> None:
    """Compare what publishing costs the writer's side with one replica and with twenty."""
    folder.mkdir()
    _make(folder / "master.duckdb", rows)
    with _Child("publish", folder) as publisher:
        publisher.ask()
        costs = {}
        days = itertools.count(1)
        for count in (1, _REPLICAS):
            with _Child(f"pull-{count}", folder) as pullers:
                pullers.ask()
                spent = []
                for day in itertools.islice(days, _WARM_UP_DAYS + _MEASURED_DAYS):
                    _commit(folder / "master.duckdb", day)
                    before = publisher.cpu_seconds()
                    publisher.ask()
                    spent.append(publisher.cpu_seconds() - before)
                    pullers.ask()
            costs[count] = _median(spent[_WARM_UP_DAYS:])
    report.add("publish_cpu_1_replica", costs[1], "s", note="processor time of a publication")
    report.add(
        f"publish_cpu_{_REPLICAS}_replicas",
        costs[_REPLICAS],
        "s",
        baseline="publish_cpu_1_replica",
        note="all of them pull every generation, each after it is published",
    )


def _swaps(report: Report, folder: Path, swaps: int) -> None:
    (folder / "swaps").mkdir()
    result = hammer(folder / "swaps", swaps=swaps, threads=8)
    wrong = len(result.errors) + result.torn + result.stale
    note = f"{result.swaps} swaps, {result.queries} queries of 8 threads: failed, torn or stale"
    report.add("swap_errors_1000", wrong, "count", note=note)


def _kills(report: Report, count: int) -> None:
    bad = kills = 0
    for role in _ROLES:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
            command = [
                sys.executable, "-m", "tests.integration.store.kills", role,
                "--random", str(count), "--seed", "11", "--folder", name,
            ]  # fmt: skip
            result = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPO).stdout
            )
        bad += len(result["bad"])
        kills += result["kills"]
    report.add("kill_bad_reads_1000", bad, "count", note=f"{kills} kills of {', '.join(_ROLES)}")


class _Child:
    """A publisher or puller in a process of its own (see replica_child); works each time it is asked."""

    def __init__(self, role: str, folder: Path) -> None:
        self._command = [sys.executable, "-m", "tests.performance.replica_child", role, str(folder)]

    def __enter__(self) -> _Child:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self) -> dict[str, Any]:
        """Have it do its thing; return its report."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def cpu_seconds(self) -> float:
        """Return the processor time that it has taken so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """Return its highest resident memory so far."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the kernel tells no VmHWM")


def _make(master: Path, rows: int) -> None:
    """Make a master whose bars end before day 1: prices that do not compress to nothing."""
    sessions = rows // _SYMBOLS
    with Writer(master) as writer, writer.transaction("history") as load:
        writer._connection.execute("SELECT setseed(0.5)")
        writer._connection.execute(
            f"INSERT INTO bars SELECT ?::DATE - ({sessions} - i // {_SYMBOLS})::INTEGER,"
            f" 'S' || lpad((i % {_SYMBOLS})::VARCHAR, 4, '0'), p, p + random(), p - random(),"
            " p + random() - 0.5, floor(random() * 1e7), 'adjusted'"
            f" FROM (SELECT i, 100 * random() + 50 AS p FROM range({sessions * _SYMBOLS}) r(i))",
            [_session(1)],
        )
        load.changed_rows += sessions * _SYMBOLS


def _commit(master: Path, day: int) -> float:
    """Load one more session; return the moment of the commit, before the checkpoint."""
    table = bars_of(day, _SYMBOLS)
    with Writer(master) as writer:
        with writer.transaction(f"day-{day}") as load:
            load.load("bars", table)
        return time.monotonic()


def _session(day: int) -> date:
    return date(2024, 1, 1) + timedelta(days=day)


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


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
