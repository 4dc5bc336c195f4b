"""The HTTP server of a service: /metrics for Prometheus, /healthz and /readyz for the kubelet."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.settings import http_address

_log = structlog.get_logger()


class StatusServer:
    """Serves metrics and health from a thread of its own, so that it answers while the main loop works.

    `before_scrape` is called ahead of each /metrics, for gauges that are cheaper to compute then.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        readiness: Readiness,
        heartbeat: Heartbeat,
        before_scrape: Callable[[], None] = lambda: None,
    ) -> None:
        self._registry = registry
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._before_scrape = before_scrape
        self._server: ThreadingHTTPServer | None = None

    def start(self, address: tuple[str, int] | None = None) -> tuple[str, int]:
        """Listen and serve; return the address, of which the port may have been chosen by the system (0).

        Raises:
            OSError: the address cannot be listened on.
            BadSetting: no address was given, and that of the environment is none.
        """
        server = ThreadingHTTPServer(address or http_address(), self._handler())
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="status-server", daemon=True).start()
        self._server = server
        host, port = str(server.server_address[0]), server.server_address[1]
        _log.info("serving metrics and health", address=f"{host}:{port}")
        return host, port

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def respond(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        """Return status, content type and body for a GET of `path`."""
        match path:
            case "/metrics":
                self._before_scrape()
                encode, content_type = choose_encoder(accept)
                return HTTPStatus.OK, content_type, encode(self._registry)
            case "/healthz":
                age = self._heartbeat.age_seconds()
                body = {"alive": self._heartbeat.alive, "heartbeatAgeSeconds": round(age, 3)}
                return _json(self._heartbeat.alive, body)
            case "/readyz":
                reasons = self._readiness.reasons()
                checks = {name: reason or "ok" for name, reason in reasons.items()}
                ready = not any(reasons.values())
                return _json(ready, {"ready": ready, "checks": checks})
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"try /metrics, /healthz or /readyz\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        respond = self.respond

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else a body waits for the acknowledgement of its headers, which clients delay by 40 ms.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                status, content_type, body = respond(path, self.headers.get("Accept", ""))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                """Probes and scrapes come every few seconds: they are not worth a log line."""

        return Handler


def _json(good: bool, body: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps(body, ensure_ascii=False).encode() + b"\n"
