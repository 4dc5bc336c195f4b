"""What the kubelet and Prometheus ask: whether the companion has looked, and whether Airflow's parts work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self

from airflow_dags.airflow_api import AirflowApi, AirflowUnavailable

_PORT = 8081
_OK, _UNAVAILABLE, _NOT_FOUND = 200, 503, 404
_HEALTHY = "healthy"
_API = "api"
PARTS = (_API, "scheduler", "dag_processor")


class Gauge(NamedTuple):
    """A metric; the client of the other components is not among Airflow's packages."""

    name: str
    labels: tuple[str, ...]
    meaning: str


HEALTHY = Gauge("stockpipeline_airflow_healthy", ("part",), "1 while a part of Airflow is well, else 0")
PIPELINES = Gauge("stockpipeline_airflow_pipelines", (), "Pipelines whose batch it runs")


class Probes:
    """Serves what the companion knows.

    `/readyz`: the pipelines were read once. `/healthz/PART`: a part of Airflow is well, of `api`, `scheduler`
    and `dag_processor`. `/livez/PART`: nothing speaks against it; while the API is away, nobody knows of the
    others, and that is no reason to start them anew. `/metrics`: the same for Prometheus.
    """

    def __init__(self, airflow: AirflowApi, port: int = _PORT) -> None:
        self._airflow = airflow
        self._pipelines: int | None = None
        probes = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = probes.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Say nothing: they ask every few seconds."""

        self._server = ThreadingHTTPServer(("", port), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.close()

    def close(self) -> None:
        """Give the port up."""
        self._server.server_close()

    def read(self, pipelines: int) -> None:
        """So many pipelines were read."""
        self._pipelines = pipelines

    def answer(self, path: str) -> tuple[int, str]:
        """Return the HTTP status and the text for a path."""
        if path == "/readyz":
            known = self._pipelines is not None
            return (_OK, "ok\n") if known else (_UNAVAILABLE, "has not read the pipelines yet\n")
        health = self._health()
        if path == "/metrics":
            return _OK, "".join(f"{line}\n" for line in self._metrics(health))
        _, kind, part = (*path.split("/"), "", "")[:3]
        if kind not in ("healthz", "livez") or part not in PARTS:
            return _NOT_FOUND, f"there are /readyz, /metrics, /healthz/PART and /livez/PART of {PARTS}\n"
        state = health.get(part)
        if state == _HEALTHY or (kind == "livez" and part != _API and not health):
            return _OK, "ok\n"
        return _UNAVAILABLE, f"{part} is {state or 'not there'}\n"

    def _health(self) -> dict[str, str | None]:
        """The state of each part; nothing where the API does not answer."""
        try:
            return {_API: _HEALTHY, **self._airflow.health()}
        except AirflowUnavailable:
            return {}

    def _metrics(self, health: dict[str, str | None]) -> Iterator[str]:
        yield from _head(HEALTHY)
        for part in PARTS:
            yield f'{HEALTHY.name}{{part="{part}"}} {int(health.get(part) == _HEALTHY)}'
        if self._pipelines is not None:
            yield from _head(PIPELINES)
            yield f"{PIPELINES.name} {self._pipelines}"


def _head(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.meaning}"
    yield f"# TYPE {gauge.name} gauge"
