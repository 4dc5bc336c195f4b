"""Ask a program inside the node's namespace whether it is well."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cluster.embedded.namespace import Namespace

_LOOPBACK = "127.0.0.1"


def answers(namespace: Namespace, port: int, path: str, authority: Path | None = None) -> Callable[[], bool]:
    """Return a check that a GET of `path` from the namespace's loopback gives 200.

    With `authority` over TLS, trusting only what that certificate signed.
    """
    tls = None if authority is None else ssl.create_default_context(cafile=authority)

    def check() -> bool:
        try:
            stream = namespace.connect(_LOOPBACK, port)
            with closing(stream), closing(http.client.HTTPConnection(_LOOPBACK, port)) as connection:
                # A connection made elsewhere: http.client uses the socket that it finds.
                connection.sock = (
                    stream if tls is None else tls.wrap_socket(stream, server_hostname=_LOOPBACK)
                )
                connection.request("GET", path)
                return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    return check
