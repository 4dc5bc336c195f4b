"""The summary of the test suites counts what the reports say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import testing, usage
from cluster.progress import Progress
from cluster.settings import Settings
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


def test_usage_sees_a_busy_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            wait_until(lambda: usage.measure([busy.pid], 0.1).cores > 0, 30, "the CPU time is seen")
            found = usage.measure([busy.pid, os.getpid()], 0.0)
        finally:
            busy.kill()
    assert found.processes == 2
    assert found.memory > 2**20
