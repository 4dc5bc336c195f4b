"""Find and release the mounts below a folder, so that the folder can be removed safely."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from cluster.shell import run

_MOUNTINFO = Path("/proc/self/mountinfo")


def mount_points(mountinfo: str, below: Path) -> list[Path]:
    """Return the mount points at and below a folder, the last mounted first.

    `mountinfo` is the content of /proc/self/mountinfo, which writes a space in a path as \\040.
    """
    paths = [Path(_unescaped(line.split(" ")[4])) for line in mountinfo.splitlines()]
    return [path for path in reversed(paths) if path.is_relative_to(below)]


def release(folders: Iterable[Path]) -> None:
    """Unmount everything at and below the folders."""
    for folder in folders:
        for path in _mounted(folder):
            # Lazily: a process that ends just now may hold it for another moment.
            run(["umount", "--lazy", path])


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it; raises `RuntimeError` rather than reach into a mount below it."""
    left = _mounted(folder)
    if left:
        raise RuntimeError(f"{folder} is not removed: still mounted below it: {', '.join(map(str, left))}")
    if folder.exists():
        shutil.rmtree(folder.resolve())
    if folder.is_symlink():
        folder.unlink()


def _mounted(folder: Path) -> list[Path]:
    """Return what is mounted at and below the folder; the kernel knows it by its path without links."""
    return mount_points(_MOUNTINFO.read_text(), folder.resolve())


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
