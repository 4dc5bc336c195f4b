"""The ports on this machine's loopback that a cluster is reached at: are they free to be taken?"""

from __future__ import annotations

import errno
import socket

from cluster.backend import Cluster
from cluster.settings import Settings, SettingsError

LOOPBACK = "127.0.0.1"


def check(settings: Settings, cluster: Cluster) -> None:
    """Raise `SettingsError` for a port that somebody else serves: told now, not after minutes of building."""
    for variable, port in (
        ("API_PORT", settings.api_port),
        ("PROMETHEUS_PORT", settings.prometheus_port),
    ):
        if _taken(port) and not cluster.serves(port):
            raise SettingsError(
                f"{variable}={port}: another program listens at {LOOPBACK}:{port}; end it, or choose a free "
                f"port with `make up {variable}=…`"
            )


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        # Connections that ended a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False
