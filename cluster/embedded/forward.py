"""Let programs on this machine's loopback reach an address inside the node's namespace."""

from __future__ import annotations

from pathlib import Path

from cluster.embedded.namespace import Namespace
from cluster.embedded.processes import Program

LOOPBACK = "127.0.0.1"


def forward(
    relay: Path, name: str, namespace: Namespace, local_port: int, address: str, port: int
) -> Program:
    """Return the program that carries connections from 127.0.0.1:`local_port` to `address`:`port` inside.

    It accepts on a socket that was made out here while it lives, and so calls, in there.
    """
    return Program(
        name=name,
        command=[str(relay), f"{address}:{port}"],
        namespace=namespace.path,
        listener=(LOOPBACK, local_port),
    )
