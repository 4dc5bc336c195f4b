"""A network namespace of the tests' own: loopback only, no way to any other network."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from cluster.shell import run

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def path_of(name: str) -> Path:
    """Return the file that names the namespace."""
    return Path("/run/netns") / name


def create(name: str) -> None:
    """Make the namespace with its loopback up."""
    run(["ip", "netns", "add", name])
    run(["ip", "-netns", name, "link", "set", "lo", "up"])


def remove(name: str) -> None:
    """Remove the namespace; does nothing where it is not there."""
    if path_of(name).exists():
        run(["ip", "netns", "delete", name])


def processes(name: str) -> list[int]:
    """Return the ids of the processes in the namespace."""
    if not path_of(name).exists():
        return []
    return [int(pid) for pid in run(["ip", "netns", "pids", name]).stdout.split()]


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Put this thread, and what it starts from here on, into the namespace until the block ends.

    Programs then reach the ports that the engine publishes on 127.0.0.1 as they would on a user's machine.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(path_of(name))
        try:
            yield
        finally:
            _set(home)
    finally:
        os.close(home)


def _enter(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set(descriptor)
    finally:
        os.close(descriptor)


def _set(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
