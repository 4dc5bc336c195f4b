"""What the API server is told and how its answers are taken."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import kopf
import pytest

from stockpipeline_operator.kube.client import ApiError, KubeClient
from stockpipeline_operator.reconcile.events import shortened


class Busy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"message": "too many requests, please try again later"}'
        self.send_response(429)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def test_a_busy_api_server_is_not_called_unreachable() -> None:
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            info = kopf.ConnectionInfo(server=f"http://127.0.0.1:{server.server_port}")
            with pytest.raises(ApiError, match="too many requests") as caught:
                KubeClient(info, connections=1).get("/api/v1/namespaces/default")
        finally:
            server.shutdown()
            thread.join()
    assert (caught.value.status, caught.value.reason) == (429, "KubernetesRefused")


@pytest.mark.parametrize("letter", ["x", "é", "€"])
def test_a_note_is_cut_by_bytes_between_letters(letter: str) -> None:
    cut = shortened(letter * 2000)
    assert 1024 - 3 < len(cut.encode()) <= 1024
    assert set(cut) == {letter}
