"""Runs the parts of the benchmark and reports them. Needs 20 GB under build/."""

from __future__ import annotations

import argparse
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.shell import terminate
from tests.performance.replica.days import change_of_a_day
from tests.performance.replica.fan_out import fan_out
from tests.performance.replica.freshness import freshness
from tests.performance.replica.kills import kills
from tests.performance.replica.swaps import swaps
from tests.performance.report import REPO, Report

ROWS_OF_500_MB = 15_000_000

Part = Callable[[Report, Path, int], None]
PARTS: dict[str, Part] = {
    "500mb": lambda report, folder, shrink: change_of_a_day(
        report, folder, "500mb", ROWS_OF_500_MB // shrink
    ),
    "5gb": lambda report, folder, shrink: change_of_a_day(
        report, folder, "5gb", 10 * ROWS_OF_500_MB // shrink
    ),
    "fan-out": lambda report, folder, shrink: fan_out(report, folder, ROWS_OF_500_MB // 10 // shrink),
    "swaps": lambda report, folder, shrink: swaps(report, folder, max(40, 1000 // shrink)),
    "kills": lambda report, _, shrink: kills(report, 1000 // shrink),
    "freshness": lambda report, _, shrink: freshness(report, 120 if shrink == 1 else 40),
}


def main() -> int:
    """Measure; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the size and of the counts")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="only these; the default is the contract")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, terminate)
    report = Report("replica", quick=chosen.quick, parts=chosen.parts is not None)
    build = REPO / "build"
    build.mkdir(exist_ok=True)
    for name in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory(dir=build, prefix=f"bench-replica-{name}-") as folder:
            PARTS[name](report, Path(folder), 100 if chosen.quick else 1)
    report.finish()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
