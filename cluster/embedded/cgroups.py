"""The cluster's own control groups: what runs in them, and their end.

Works with both versions: one unified tree, or one tree per controller (v1).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from cluster.shell import wait_until

_ROOT = Path("/sys/fs/cgroup")
_REQUIRED = ("cpu", "cpuset", "memory", "pids")  # by the kubelet
_SYSTEM = "system"  # the group of the node's own programs, beside the kubelet's `kubepods`


class ControlGroup:
    """The top group of one cluster, present in every tree of this machine."""

    def __init__(self, name: str, root: Path = _ROOT) -> None:
        self.name = f"/{name}"
        self._root = root
        self._unified = (root / "cgroup.controllers").exists()

    @property
    def folders(self) -> list[Path]:
        """The group's folder in each tree, whether made or not."""
        if self._unified:
            return [self._root / self.name[1:]]
        trees = sorted(self._root.iterdir()) if self._root.is_dir() else []
        # A link is a second name of a tree that holds several controllers, such as cpu,cpuacct.
        return [tree / self.name[1:] for tree in trees if tree.is_dir() and not tree.is_symlink()]

    @property
    def members_file(self) -> Path:
        """The cgroup.procs of the group that the node's own programs join (in one tree: that is enough)."""
        folders = self.folders
        if self._unified:
            return folders[0] / _SYSTEM / "cgroup.procs"
        return next(f for f in folders if f.parent.name == "pids") / _SYSTEM / "cgroup.procs"

    def create(self) -> None:
        """Make the group in every tree, with what the kubelet expects of it; repeatable."""
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        if self._unified:
            for controller in (self._root / "cgroup.controllers").read_text().split():
                self._enable(controller)
        else:
            cpuset = self._root / "cpuset" / self.name[1:]
            for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, which could then run nothing
                if (cpuset / file).exists() and not (cpuset / file).read_text().strip():
                    (cpuset / file).write_text((cpuset.parent / file).read_text())
        self.members_file.parent.mkdir(exist_ok=True)

    def _enable(self, controller: str) -> None:
        """Let groups below the root use a controller (version 2)."""
        file = self._root / "cgroup.subtree_control"
        try:
            with file.open("a") as stream:
                stream.write(f"+{controller} ")
        except OSError as error:
            if controller in _REQUIRED:
                raise RuntimeError(
                    f"{file}: cannot enable {controller}: {error.strerror}; in a container, the processes of "
                    "its top control group are in the way: give it the machine's own (--cgroupns=host)"
                ) from error

    def pids(self, below: str = "") -> set[int]:
        """Return the processes in the group, or in its subgroup `below`, and in all groups below that.

        Without 0, which stands for one that this process cannot see: killing 0 would kill this one's group.
        """
        return {
            int(pid)
            for folder in self.folders
            for group in _tree(folder / below if below else folder)
            for pid in _read(group / "cgroup.procs").split()
            if pid != "0"
        }

    def kill(self, below: str = "") -> None:
        """Kill everything in it and wait until nothing is left."""

        def empty() -> bool:
            pids = self.pids(below)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return not pids

        wait_until(empty, 30, f"control group {self.name}/{below}: all its processes have ended")

    def remove(self) -> None:
        """Remove the group with all groups below it; nothing may run in it any more."""
        for folder in self.folders:
            for group in _tree(folder):
                group.rmdir()


def _tree(folder: Path) -> Iterator[Path]:
    """Yield all groups at and below `folder`, the deepest first."""
    if folder.is_dir():
        for child in sorted(folder.iterdir()):
            if child.is_dir():
                yield from _tree(child)
        yield folder


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the group went away while we looked
        return ""
