"""Loopback ports for the servers of tests."""

from __future__ import annotations

import random
import socket

# Below the range from which Linux gives ports to outgoing connections (from 32768 on): such a connection
# would else take a port between its choice and its use, or while its server is being restarted.
_PORTS = range(12_000, 32_768)
_chosen: set[int] = set()
_random = random.Random()


def free_port(room: int = 0) -> int:
    """Return a loopback TCP port that nothing listens on now, another one at each call.

    `room` is how far above it its server listens as well.
    """
    while True:
        port = _random.choice(_PORTS[:-room] if room else _PORTS)
        if port not in _chosen and _is_free(port):
            _chosen.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
