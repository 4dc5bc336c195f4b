"""A machine and an outside world for tests of egress, made of two network namespaces: no packet leaves.

    node ──(the link under test)── uplink ──── outside

`uplink` plays the machine that the cluster runs on. `outside` plays the internet: an HTTP server on an
address that only `uplink` has a route to, and a name server that knows one name.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.embedded.namespace import Namespace, enter

# Addresses and names that are reserved for documentation (RFC 5737, RFC 2606).
ADDRESS = "198.51.100.7"
NAME = "quotes.example"
PORT = 8080
GREETING = "hello from outside"
_UPLINK, _GATEWAY = "203.0.113.1", "203.0.113.2"


@dataclass(frozen=True)
class World:
    """The two namespaces; `callers` grows by the address that each HTTP request came from."""

    uplink: Namespace
    outside: Namespace
    callers: list[str]


@contextmanager
def world(prefix: str) -> Iterator[World]:
    """Make both namespaces with the servers in `outside`, and remove them at the end."""
    uplink, outside = Namespace(f"{prefix}-uplink"), Namespace(f"{prefix}-outside")
    callers: list[str] = []
    servers: list[socketserver.BaseServer] = []
    try:
        for namespace in (uplink, outside):
            namespace.create()
        uplink.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", outside.name)
        for namespace, address in ((uplink, f"{_UPLINK}/24"), (outside, f"{_GATEWAY}/24")):
            namespace.ip("address", "add", address, "dev", "eth0")
            namespace.ip("link", "set", "eth0", "up")
        outside.ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
        uplink.ip("route", "add", "default", "via", _GATEWAY)
        servers += [
            _serve(outside.path, lambda: _http_server(callers)),
            _serve(outside.path, lambda: socketserver.UDPServer((ADDRESS, 53), _NameServer)),
        ]
        yield World(uplink, outside, callers)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for namespace in (uplink, outside):
            namespace.delete()


def _serve(namespace: Path, make: Callable[[], socketserver.BaseServer]) -> socketserver.BaseServer:
    """Serve from a thread that lives in the namespace."""
    made: list[socketserver.BaseServer] = []
    ready = threading.Event()

    def live_there() -> None:
        enter(namespace)
        made.append(make())
        ready.set()
        made[0].serve_forever(poll_interval=0.05)

    threading.Thread(target=live_there, daemon=True).start()
    if not ready.wait(10):
        raise RuntimeError(f"the server in {namespace} did not start")
    return made[0]


def _http_server(callers: list[str]) -> http.server.HTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            callers.append(self.client_address[0])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(GREETING.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return http.server.HTTPServer((ADDRESS, PORT), Handler)


class _NameServer(socketserver.BaseRequestHandler):
    """Answers A for `NAME` with `ADDRESS` and everything else with "no such name"."""

    def handle(self) -> None:
        query: bytes
        reply_to: socket.socket
        query, reply_to = self.request
        end = query.index(0, 12) + 5  # the labels, their end, type and class
        question = query[12:end]
        asked = b"".join(len(part).to_bytes(1, "big") + part.encode() for part in NAME.split(".")) + b"\0"
        known = question[:-4].lower() == asked
        is_a = question[-4:-2] == b"\0\1"
        flags = 0x8180 if known else 0x8183  # recursion available; 3: NXDOMAIN
        answer = (
            struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ADDRESS) if known and is_a else b""
        )
        header = struct.pack("!2sHHHHH", query[:2], flags, 1, 1 if answer else 0, 0, 0)
        reply_to.sendto(header + question + answer, self.client_address)
