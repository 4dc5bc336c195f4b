"""What goes wrong below Kubernetes, done to single pods of the embedded node: their processor, their network,
their processes, their disk. Nothing in the cluster knows of it, so nothing repairs it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.e2e.conftest import Deployment

_CGROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


class Pod:
    """A pod, as the machine sees it."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = found
        self.name = str(found["metadata"]["name"])
        self._uid = str(found["metadata"]["uid"])

    @classmethod
    def only(cls, deployment: Deployment, namespace: str, selector: str) -> Self:
        """Return the only pod of the selector that is there to stay."""
        pods = deployment.get("pods", "--namespace", namespace, "--selector", selector)["items"]
        (found,) = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
        return cls(found)

    @property
    def address(self) -> str:
        """Its address in the cluster's network, once it runs."""
        return str(self.found["status"]["podIP"])

    def processes(self, word: str) -> list[int]:
        """The processes whose command line has the word."""
        return [pid for pid in self._all() if word in _read(pid, "cmdline").split("\0")]

    def kill(self, word: str) -> int:
        """Kill these processes as the kernel does when memory is short; return how many there were."""
        found = self.processes(word)
        for pid in found:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def starve(self, word: str, share: float) -> None:
        """Leave a container only this share of a core."""
        pid = self.processes(word)[0]
        quota = round(share * _PERIOD_US)
        for line in _read(pid, "cgroup").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "":
                folder = _CGROUPS / group[1:]
                if (folder / "cpu.max").exists():
                    (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
            elif "cpu" in controllers.split(","):
                (_CGROUPS / "cpu" / group[1:] / "cpu.cfs_quota_us").write_text(str(quota))

    def cut(self, *rule: str) -> None:
        """Drop the packets of a rule of iptables in the pod's network, for as long as the pod lives."""
        self._iptables("--insert", *rule)

    def mend(self, *rule: str) -> None:
        """Let them pass again."""
        self._iptables("--delete", *rule)

    def _iptables(self, change: str, chain: str, *rule: str) -> None:
        inside = ("nsenter", f"--net=/proc/{self._all()[0]}/ns/net")
        subprocess.run([*inside, "iptables", "--wait", change, chain, *rule, "--jump", "DROP"], check=True)

    def _all(self) -> list[int]:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if f"pod{self._uid}" in _read(pid, "cgroup")]


@contextmanager
def small_disk(folder: Path, size: str, owner: int) -> Iterator[None]:
    """Put a small disk of its own in the place of a volume's folder; pods that start from now on have it."""
    options = f"size={size},uid={owner},gid={owner},mode=0770"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small-disk", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:  # it has just ended
        return ""
