"""Every role survives SIGKILL: 200 times at random, and once before each step that changes the disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

RANDOM_KILLS = 200


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a kill loses nothing that was written, so syncing only costs."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="stockpipeline-kills-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("role", ["publish", "pull", "swap", "gc", "restore"])
def test_no_kill_lets_anyone_read_something_wrong(role: str, memory_folder: Path) -> None:
    command = [
        sys.executable, "-m", "tests.integration.store.kills", role,
        "--random", str(RANDOM_KILLS), "--steps", "--seed", "7", "--folder", str(memory_folder),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["bad"] == [], done.stderr
    assert result["kills"] == RANDOM_KILLS
    assert result["steps"] >= 5
