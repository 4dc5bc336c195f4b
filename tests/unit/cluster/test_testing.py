"""The summary of the test suites counts what the reports say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import testing, usage
from cluster.progress import Progress
from cluster.settings import REPO, Settings
from cluster.shell import wait_until
from cluster.testing import Tally

REPORT = (
    '<testsuites><testsuite tests="10" failures="2" errors="1" skipped="3"/>'
    '<testsuite tests="1" failures="0" errors="0" skipped="0"/></testsuites>'
)


def test_a_report_is_counted(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    assert testing._count(report) == Tally(passed=5, failed=3, skipped=3)


@pytest.mark.parametrize(
    ("tally", "code", "line"),
    [
        (Tally(passed=3), 0, "3 passed, 0 failed"),
        (Tally(passed=3, skipped=1), 0, "3 passed, 0 failed, 1 skipped"),
        (Tally(passed=3, failed=1), 1, "3 passed, 1 failed"),
        (Tally(), 1, "0 passed, 0 failed"),
    ],
)
def test_only_a_run_that_tested_something_passes(
    tally: Tally, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(testing.prerequisites, "check", lambda _settings: None)
    monkeypatch.setattr(testing.prerequisites, "install", lambda _packages, _progress: None)
    monkeypatch.setitem(testing.SUITES, "unit", lambda _settings, _progress: tally)
    assert testing.run_suites(Settings.from_environment(), ["unit"], Progress()) == code
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_suites_need_no_docker_and_get_the_base_packages_first(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(testing.prerequisites, "check", lambda settings: done.append(settings.kind))
    monkeypatch.setattr(testing.prerequisites, "install", lambda packages, _progress: done.append(packages))

    def suite(_settings: Settings, _progress: Progress) -> Tally:
        done.append("unit")
        return Tally(passed=1)

    monkeypatch.setitem(testing.SUITES, "unit", suite)
    testing.run_suites(Settings.from_environment({"CLUSTER": "kind"}), ["unit"], Progress())
    assert done == ["node", (), "unit"]


@pytest.mark.parametrize(("signum", "passed_on"), [("INT", False), ("TERM", True)])
def test_a_stopped_run_waits_until_pytest_has_cleaned_up(
    tmp_path: Path, signum: str, passed_on: bool
) -> None:
    """A terminal sends SIGINT to pytest as well; a second one would break off its cleaning up."""
    child = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_: got.append(1))\n"
        "got = []\n"
        "pathlib.Path('started').touch()\n"
        "end = time.monotonic() + 1\n"
        "while not got and time.monotonic() < end: time.sleep(0.02)\n"
        "pathlib.Path('cleaned').write_text(str(bool(got)))\n"
    )
    parent = (
        "import signal, subprocess, sys\n"
        "from cluster import shell, testing\n"
        # A shell's background job, as which tests may run, begins with SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGTERM, shell.terminate)\n"
        "try: testing.ended(subprocess.Popen([sys.executable, '-c', sys.argv[1]]))\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen([sys.executable, "-c", parent, child], cwd=tmp_path, env=environment) as process:
        wait_until((tmp_path / "started").exists, 30, "the child has started")
        process.send_signal(signal.Signals[f"SIG{signum}"])
        assert process.wait(30) == 130
    assert (tmp_path / "cleaned").read_text() == str(passed_on)


def test_usage_sees_a_busy_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            wait_until(lambda: usage.measure([busy.pid], 0.1).cores > 0, 30, "the CPU time is seen")
            found = usage.measure([busy.pid, os.getpid()], 0.0)
        finally:
            busy.kill()
    assert found.processes == 2
    assert found.memory > 2**20
