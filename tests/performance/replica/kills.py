"""SIGKILL of every role at random moments of its real work, several at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.performance.report import REPO, Report

_ROLES = ("publish", "pull", "swap", "gc", "restore")
_LANES = 2
"""Processes for each role, with seeds of their own."""


def kills(report: Report, count: int) -> None:
    """Kill each role `count` times and look at what readers could see after each kill."""
    wanted = [(role, lane, count // _LANES) for role in _ROLES for lane in range(_LANES)]
    # Half of a turn is waiting for the moment of the kill, so one more than there are processors.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        results = list(pool.map(lambda one: _killed(*one), wanted))
    bad = sum(len(result["bad"]) for result in results)
    hit = sum(result["kills"] for result in results)
    report.add("kill_bad_reads_1000", bad, "count", note=f"{hit} kills of {', '.join(_ROLES)}")


def _killed(role: str, lane: int, count: int) -> dict[str, Any]:
    # In memory: a kill loses nothing that was written, so syncing to a disk would only take time.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        command = [
            sys.executable, "-m", "tests.integration.store.kills", role,
            "--random", str(count), "--seed", str(11 + lane), "--folder", folder,
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPO)
    result: dict[str, Any] = json.loads(done.stdout)
    if result["kills"] != count:
        raise RuntimeError(f"{role}: only {result['kills']} of {count} kills came before the work's end")
    return result
