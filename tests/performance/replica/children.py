"""A publisher and pullers in processes of their own that stay, as in a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from stockpipeline.store.retention import Retention
from stockpipeline.store_service.publisher_process import Assignment
from tests.performance.report import REPO


class Child:
    """A process that works for each line that it reads, and answers with one of JSON."""

    def __init__(self, *words: str, line: str = "") -> None:
        self._command = [sys.executable, "-m", *words]
        self._line = line

    def __enter__(self) -> Self:
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
        self._process.stdin.write(f"{self._line}\n")
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


class PublisherChild(Child):
    """The store service's own publisher process, of `master.duckdb` in a folder."""

    def __init__(self, folder: Path) -> None:
        assignment = Assignment(
            master=str(folder / "master.duckdb"),
            store=f"file://{folder}/store",
            writer="bench",
            retention=Retention(),
        )
        module = "stockpipeline.store_service.publisher_process"
        super().__init__(module, msgspec.json.encode(assignment).decode(), line='{"name": "publish"}')

    def ask(self) -> dict[str, Any]:
        """Have it publish; return its report."""
        answer = super().ask()
        if answer["error"] is not None:
            raise RuntimeError(f"publishing failed: {answer['message']}")
        report: dict[str, Any] = answer["report"]
        return report


def puller_child(folder: Path, replicas: Sequence[str] = ("replica",)) -> Child:
    """Return a process with a puller for each replica of the store in a folder."""
    names = [str(folder / replica) for replica in replicas]
    return Child("tests.performance.replica.puller", f"file://{folder}/store", *names)
