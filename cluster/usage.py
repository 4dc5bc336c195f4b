"""How much memory and CPU the embedded cluster uses: its own programs and all pods."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Memory in bytes (a page that n processes share counts 1/n for each), CPU in cores on average."""

    processes: int
    memory: int
    cores: float


def measure(pids: Iterable[int], seconds: float) -> Usage:
    """Watch these processes for a while; one that ends meanwhile counts for nothing."""
    watched = set(pids)
    before = {pid: ticks for pid in watched if (ticks := _cpu_ticks(pid)) is not None}
    started = time.monotonic()
    time.sleep(seconds)
    used = sum(ticks - before[pid] for pid in before if (ticks := _cpu_ticks(pid)) is not None)
    elapsed = time.monotonic() - started
    return Usage(len(watched), sum(map(_memory, watched)), used / os.sysconf("SC_CLK_TCK") / elapsed)


def _cpu_ticks(pid: int) -> int | None:
    """Return the user and system time of a process in clock ticks (proc(5), fields 14 and 15 of stat)."""
    with suppress(OSError):
        # The program's name may hold blanks and brackets: the fields begin behind its closing one.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return None


def _memory(pid: int) -> int:
    with suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
