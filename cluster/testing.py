"""`make test` and its parts: installs what each suite needs and runs it.

All suites run even if one fails, so that one run tells everything; the last
line is a plain summary over all of them.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster import debian, environment, imagebuild, prerequisites
from cluster.embedded.binaries import node_programs
from cluster.embedded.packages import DEBIAN_PACKAGES as NODE_PACKAGES
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import Terminated

# Real servers that the tests start themselves on loopback.
SERVER_PACKAGES = (
    "redis-server",
    "prometheus",
    "prometheus-alertmanager",
    "postgresql",
    "openjdk-17-jre-headless",
)

LINTERS = (
    ("ruff", "check", "--quiet", "."),
    ("ruff", "format", "--check", "--quiet", "."),
    ("mypy",),
    ("lint-imports",),
)


@dataclass
class Tally:
    """How many checks passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Tally) -> None:
        """Count the checks of `other` as well."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def run_suites(settings: Settings, names: list[str], progress: Progress) -> int:
    """Run the named suites in order; return 0 only if something ran and all of it passed, else 1."""
    # Whatever kind of cluster was chosen: the suite `kind` brings its own kind, and the others need none.
    prerequisites.check(dataclasses.replace(settings, kind="node"))
    prerequisites.install((), progress)
    total = Tally()
    for name in names:
        print(f"\n== {name}", flush=True)
        total.add(SUITES[name](settings, progress))
    line = f"{total.passed} passed, {total.failed} failed"
    print(f"\n{line}, {total.skipped} skipped" if total.skipped else f"\n{line}")
    return 0 if total.passed and not total.failed else 1


def _lint(settings: Settings, progress: Progress) -> Tally:
    environment.ensure(settings, progress)
    tally = Tally()
    for command in LINTERS:
        program = environment.python(settings).with_name(command[0])
        done = subprocess.run([program, *command[1:]], cwd=settings.repo, check=False)
        print(f"{' '.join(command)}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode == 0:
            tally.passed += 1
        else:
            tally.failed += 1
    return tally


def _unit(settings: Settings, progress: Progress) -> Tally:
    environment.ensure(settings, progress)
    return _pytest(settings, "unit")


def _integration(settings: Settings, progress: Progress) -> Tally:
    prerequisites.install((*SERVER_PACKAGES, *imagebuild.DEBIAN_PACKAGES, *NODE_PACKAGES), progress)
    environment.ensure(settings, progress)
    with progress.step("Programs of the node"):
        node_programs(settings.cache)
    # They mostly wait for servers and their time-outs, so they share the cores well.
    return _pytest(settings, "integration", "--numprocesses=2", "--dist=loadfile")


def _end_to_end(settings: Settings, progress: Progress) -> Tally:
    prerequisites.install((*SERVER_PACKAGES, *imagebuild.DEBIAN_PACKAGES, *NODE_PACKAGES), progress)
    environment.ensure(settings, progress)
    return _pytest(settings, "e2e")


def _spark(settings: Settings, progress: Progress) -> Tally:
    prerequisites.install((*SERVER_PACKAGES, *imagebuild.DEBIAN_PACKAGES, *NODE_PACKAGES), progress)
    environment.ensure(settings, progress)
    return _pytest(settings, "spark")


def _airflow(settings: Settings, progress: Progress) -> Tally:
    prerequisites.install((*SERVER_PACKAGES, *imagebuild.DEBIAN_PACKAGES, *NODE_PACKAGES), progress)
    environment.ensure(settings, progress)
    return _pytest(settings, "airflow")


def _alerts(settings: Settings, progress: Progress) -> Tally:
    prerequisites.install((*SERVER_PACKAGES, *imagebuild.DEBIAN_PACKAGES, *NODE_PACKAGES), progress)
    environment.ensure(settings, progress)
    return _pytest(settings, "alerts")


def _kind(settings: Settings, progress: Progress) -> Tally:
    packages: tuple[str, ...] = NODE_PACKAGES
    if prerequisites.docker_answers():  # it has container programs of its own
        packages = tuple(package for package in packages if package not in debian.CONTAINER_PACKAGES)
    prerequisites.install((*imagebuild.DEBIAN_PACKAGES, *packages), progress)
    environment.ensure(settings, progress)
    return _pytest(settings, "kind")


SUITES: dict[str, Callable[[Settings, Progress], Tally]] = {
    "lint": _lint,
    "unit": _unit,
    "integration": _integration,
    "e2e": _end_to_end,
    "kind": _kind,
    "spark": _spark,
    "airflow": _airflow,
    "alerts": _alerts,
}


def _pytest(settings: Settings, suite: str, *options: str) -> Tally:
    """Run one folder of tests and count from the report that pytest wrote."""
    report = settings.repo / "build" / "test" / f"{suite}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [
        environment.python(settings), "-m", "pytest", f"tests/{suite}", "--junit-xml", report, "-q", *options,
    ]  # fmt: skip
    code = ended(
        subprocess.Popen(
            [str(word) for word in command],
            cwd=settings.repo,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    )
    if not report.exists():
        print(f"pytest ended with exit code {code} and wrote no report", file=sys.stderr)
        return Tally(failed=1)
    tally = _count(report)
    if code != 0 and tally.failed == 0:  # an error that is no test's, such as of collection
        tally.failed += 1
    return tally


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process and return its exit code; when stopped, first let it remove what it made."""
    stopped: KeyboardInterrupt | None = None
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt as stop:
            if isinstance(stop, Terminated) and stopped is None:
                process.send_signal(signal.SIGINT)
            stopped = stop
            continue
        if stopped is not None:
            raise stopped
        return code


def _count(report: Path) -> Tally:
    tally = Tally()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it
        failed = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped = int(suite.get("skipped", "0"))
        tally.add(Tally(int(suite.get("tests", "0")) - failed - skipped, failed, skipped))
    return tally
