"""`make bench` and `make bench-NAME`: installs what the benchmarks need and runs them.

A benchmark is a module `tests.performance.NAME` that runs by itself (`python -m`), takes `--quick`, prints a
table and writes `build/bench/NAME.json` (see tests/performance/report.py).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from cluster import environment, imagebuild, prerequisites
from cluster.embedded.packages import DEBIAN_PACKAGES as NODE_PACKAGES
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.testing import SERVER_PACKAGES, ended

BENCHMARKS: tuple[str, ...] = ("batch", "detector", "operator", "producer", "replica")


def run_benchmarks(settings: Settings, names: Sequence[str], quick: bool, progress: Progress) -> int:
    """Run the named benchmarks one after the other; return 0 if all of them came to their end, else 1.

    Raises:
        ValueError: there is no benchmark of that name.
    """
    for name in names:
        if name not in BENCHMARKS:
            raise ValueError(f"there is no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    prerequisites.install((*SERVER_PACKAGES, *imagebuild.DEBIAN_PACKAGES, *NODE_PACKAGES), progress)
    environment.ensure(settings, progress)
    failed = []
    for name in names:
        print(f"\n== bench-{name}", flush=True)
        command = [str(environment.python(settings)), "-m", f"tests.performance.{name}"]
        if ended(subprocess.Popen([*command, *(["--quick"] if quick else [])], cwd=settings.repo)) != 0:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
