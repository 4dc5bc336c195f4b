"""The network namespace that a node lives in: with its own address, and no way out."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from pathlib import Path

from cluster.embedded.addresses import NODE_IP, NODE_PREFIX, SERVICE_RANGE
from cluster.shell import run

_CLONE_NEWNET = 0x40000000
_LINK, _PEER = "node0", "node1"


class Namespace:
    """A named network namespace, kept under /run/netns as `ip netns` does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/run/netns") / name

    def exists(self) -> bool:
        """Tell whether the name stands for a namespace (a crash may leave a plain file in its place)."""
        try:
            return self.path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
        except FileNotFoundError:
            return False

    def create(self) -> bool:
        """Make the namespace with its loopback up unless it exists; tell whether it was made."""
        if self.exists():
            return False
        self.path.unlink(missing_ok=True)
        run(["ip", "netns", "add", self.name])
        self.ip("link", "set", "lo", "up")
        return True

    def delete(self) -> None:
        """Remove the name; the namespace itself ends with the last process in it."""
        if self.exists():
            run(["ip", "netns", "delete", self.name])
        self.path.unlink(missing_ok=True)

    def ip(self, *words: str, check: bool = True) -> str:
        """Run `ip` in the namespace and return its output."""
        return run(["ip", "-n", self.name, *words], check=check).stdout

    def run(self, *words: str, input: str | None = None) -> str:  # noqa: A002
        """Run a program in the namespace and return its output."""
        return run(["nsenter", f"--net={self.path}", *words], input=input).stdout

    def has_link(self, name: str) -> bool:
        """Tell whether the namespace has the network interface `name`."""
        return run(["ip", "-n", self.name, "link", "show", name], check=False).returncode == 0

    def pids(self) -> list[int]:
        """Return the processes that live in the namespace."""
        return [int(pid) for pid in run(["ip", "netns", "pids", self.name]).stdout.split()]

    def connect(self, address: str, port: int, timeout: float = 2.0) -> socket.socket:
        """Return a TCP connection from inside the namespace; raises `OSError` as `socket` does."""
        result: list[socket.socket | OSError] = []

        def enter_and_connect() -> None:
            try:
                enter(self.path)
                result.append(socket.create_connection((address, port), timeout))
            except OSError as error:
                result.append(error)

        # A thread enters for itself alone, and this one ends afterwards; its socket stays where it was made.
        thread = threading.Thread(target=enter_and_connect)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]


def enter(path: Path) -> None:
    """Move the calling thread (only) into the network namespace of the file `path`."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns comes with Python 3.12
    with path.open() as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))


def furnish(namespace: Namespace) -> None:
    """Give the namespace the node's address and a route to Services; changes nothing the second time.

    The address lies on a veth pair with both ends inside, because not every kernel has dummy devices. There
    is no default route: a call to the outside fails at once. Services need a route all the same, because
    the kernel looks for one before kube-proxy's rules replace their address.
    """
    if not namespace.has_link(_LINK):
        namespace.ip("link", "add", _LINK, "type", "veth", "peer", "name", _PEER)
    namespace.ip("address", "replace", f"{NODE_IP}/{NODE_PREFIX}", "dev", _LINK)
    for link in ("lo", _LINK, _PEER):
        namespace.ip("link", "set", link, "up")
    namespace.ip("route", "replace", SERVICE_RANGE, "dev", _LINK, "src", NODE_IP)
    namespace.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
