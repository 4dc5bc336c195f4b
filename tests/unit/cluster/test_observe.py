"""The table that people see: what is known, what is not, and what is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cluster import observe
from cluster.observe import PipelineState, by_pipeline, readiness, table


def resource(*conditions: dict[str, Any], generation: int = 2) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "status": {"conditions": list(conditions)}}


def ready(status: str, message: str = "", generation: int = 2) -> dict[str, Any]:
    return {"type": "Ready", "status": status, "message": message, "observedGeneration": generation}


def test_ready_counts_only_for_the_current_generation() -> None:
    assert readiness(resource(ready("True"))) == (True, "")
    assert readiness(resource(ready("True", generation=1)))[0] is False


def test_a_resource_that_no_operator_saw_is_not_ready() -> None:
    assert readiness({"metadata": {"generation": 1}}) == (False, "not looked at by the operator yet")


def test_the_reason_is_the_conditions_sentence() -> None:
    assert readiness(resource(ready("False", "no function RSII"))) == (False, "no function RSII")


def test_table_shows_unknown_figures_as_a_dash_and_says_what_is_wrong() -> None:
    states = [
        PipelineState("default", "demo", True, "fine", 250.04, 12.0, 0.0),
        PipelineState("desk", "broken", False, "TA-Lib has no function RSII", None, None, None),
    ]
    assert table(states).splitlines() == [
        "PIPELINE      READY  TICKS/S  SIGNALS  LAG",
        "default/demo  yes    250.0    12       0",
        "desk/broken   no     -        -        -    TA-Lib has no function RSII",
    ]


SERIES = [
    {"metric": {"namespace": "a", "pipeline": "b"}, "value": [0, "2.5"]},
    {"metric": {"namespace": "a", "pipeline": "nan"}, "value": [0, "NaN"]},
    {"metric": {"pipeline": "no namespace"}, "value": [0, "1"]},
]


class PrometheusAnswer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"status": "success", "data": {"result": SERIES}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        pass


@pytest.fixture
def prometheus() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), PrometheusAnswer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_figures_are_found_by_namespace_and_name(prometheus: str) -> None:
    assert by_pipeline(prometheus, observe.LAG) == {("a", "b"): 2.5}


def test_a_proxy_is_not_asked_for_what_is_on_loopback(
    prometheus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert by_pipeline(prometheus, observe.LAG) != {}


def test_without_prometheus_nothing_is_known() -> None:
    assert by_pipeline("http://127.0.0.1:1", observe.LAG) == {}
