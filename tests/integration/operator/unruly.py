"""An API server that fails: a proxy between the operator and the real one.

Requests pass through it in plain HTTP on loopback, watches as a stream. For each request a `Meddling` says
what happens to it: it passes, it is answered with an error, it is not answered, or the operator is killed
before it arrives or before its answer does. The operator itself knows nothing of it: what it meets is what it
would meet.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_CHUNK = 64 * 1024
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_WITHOUT_BODY = {204, 304}


class What(Enum):
    """What happens to a request."""

    PASS = "passes"
    REFUSE = "is answered with an error"
    SWALLOW = "arrives, and its answer is lost"
    KILL_BEFORE = "the operator is killed before it arrives"
    KILL_AFTER = "the operator is killed before it hears the answer"


@dataclass(frozen=True)
class Request:
    """A request of the operator; `number` counts those that change something, from 1."""

    method: str
    path: str
    number: int

    @property
    def changes(self) -> bool:
        return self.method != "GET"


# What to do with a request, and the status of an error.
Meddling = Callable[[Request], tuple[What, int]]


def leave_alone(_: Request) -> tuple[What, int]:
    """Every request passes."""
    return What.PASS, 0


class UnrulyServer:
    """The proxy. `meddling` and `victim` (a process id) may be changed at any time."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        (cluster,) = config["clusters"]
        self._upstream = urlsplit(cluster["cluster"]["server"])
        # Not every client sends its token where there is no TLS.
        self.authorization = f"Bearer {config['users'][0]['user']['token']}"
        self._context = ssl.create_default_context(cadata=_authority(cluster["cluster"]))
        self.meddling: Meddling = leave_alone
        self.victim: int | None = None
        self.killed = threading.Event()
        self.seen: list[str] = []
        self._changes = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        cluster["cluster"] = {"server": f"http://127.0.0.1:{self._server.server_port}"}
        self.kubeconfig = directory / kubeconfig.name
        self.kubeconfig.write_text(yaml.safe_dump(config))

    @contextmanager
    def serving(self) -> Iterator[UnrulyServer]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def judge(self, method: str, path: str) -> tuple[What, int]:
        """What happens to a request. The Lease is left alone: losing it is another story."""
        if "/leases" in path:
            return What.PASS, 0
        with self._lock:
            if method != "GET":
                self._changes += 1
            request = Request(method, path, self._changes)
            if request.changes:
                self.seen.append(f"{method} {path.partition('?')[0]}")
            return self.meddling(request)

    def kill(self) -> None:
        """Kill the operator, as a crash would."""
        if self.victim is not None:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = None
        self.killed.set()

    def connection(self) -> http.client.HTTPSConnection:
        """A connection to the real API server."""
        return http.client.HTTPSConnection(
            str(self._upstream.hostname), self._upstream.port, context=self._context, timeout=400
        )


def _authority(cluster: dict[str, Any]) -> str:
    if "certificate-authority" in cluster:
        return Path(cluster["certificate-authority"]).read_text()
    return base64.b64decode(cluster["certificate-authority-data"]).decode()


def _handler(server: UnrulyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            what, status = server.judge(self.command, self.path)
            if what is What.KILL_BEFORE:
                server.kill()
            if what is What.REFUSE:
                self._refuse(status)
            elif what is not What.KILL_BEFORE:
                self._forward(body, what)
            if what in (What.KILL_BEFORE, What.KILL_AFTER, What.SWALLOW):
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815 - the base class's names

        def _refuse(self, status: int) -> None:
            content = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
            answer = json.dumps(content | {"message": f"made to fail with {status}"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _forward(self, body: bytes, what: What) -> None:
            upstream = server.connection()
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
                headers["Authorization"] = server.authorization
                upstream.request(self.command, self.path, body or None, headers)
                response = upstream.getresponse()
                if what is What.PASS:
                    self._answer(response)
                else:
                    response.read()
                    if what is What.KILL_AFTER:
                        server.kill()
            except OSError:
                self.close_connection = True  # one of the two ends went away
            finally:
                upstream.close()

        def _answer(self, response: http.client.HTTPResponse) -> None:
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            if self.command == "HEAD" or response.status in _WITHOUT_BODY:
                self.end_headers()
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while chunk := response.read1(_CHUNK):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    return Handler
