"""How the companion logs in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_dags.airflow_api import AirflowApi, AirflowUnavailable, Login

LOGIN = Login("companion", "opensesame")


@contextmanager
def serving(login: Login | None) -> Iterator[str]:
    """Yield the URL of a server that has one DAG, and asks for that login."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            status, answer = self.answer(body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def answer(self, body: object) -> tuple[int, object]:
            if self.path == "/auth/token":
                if login is None:
                    known = self.command == "GET"
                else:
                    known = body == {"username": login.user, "password": login.password}
                return (201, {"access_token": "token"}) if known else (401, {})
            if self.headers["Authorization"] != "Bearer token":
                return 401, {}
            return 200, {"dags": [{"dag_id": "one", "is_paused": True}], "total_entries": 1}

        do_GET = do_POST = handle_any  # noqa: N815 - the base class names them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("login", [None, LOGIN], ids=["everybody", "a password"])
def test_it_has_the_token_that_is_given(login: Login | None) -> None:
    with serving(login) as url:
        assert AirflowApi(url, login).paused("stockpipeline") == {"one": True}


def test_a_wrong_password_is_told_and_tried_again() -> None:
    with serving(LOGIN) as url:
        client = AirflowApi(url, Login("companion", "wrong"))
        for _ in range(2):
            with pytest.raises(AirflowUnavailable, match="401"):
                client.paused("stockpipeline")


def test_a_password_is_not_shown() -> None:
    assert "opensesame" not in repr(LOGIN)
