"""A small API server in memory, which the real client speaks to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_dags.kube import Kube
from airflow_dags.pipeline import Pods

Object = dict[str, Any]


class FakeKube:
    """Objects by path; what is asked for is noted."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.logs: dict[str, list[str]] = {}
        self.refused: set[str] = set()
        self.created: list[Object] = []

    def answer(self, method: str, path: str, body: Object | None) -> tuple[int, str]:
        """Return the status and the text."""
        if path in self.refused:
            return 403, json.dumps({"message": "forbidden"})
        if path.endswith("/log"):
            name = path.split("/")[-2]
            return (200, "".join(f"{line}\n" for line in self.logs[name])) if name in self.logs else (404, "")
        if method == "POST":
            assert body is not None
            place = f"{path}/{body['metadata']['name']}"
            if place in self.objects:
                return 409, json.dumps({"message": "exists"})
            self.created.append(body)
            self.objects[place] = json.loads(json.dumps(body))
            return 201, json.dumps(body)
        if path not in self.objects:
            return 404, json.dumps({"message": "not found"})
        if method == "DELETE":
            return 200, json.dumps(self.objects.pop(path))
        if method == "PATCH":
            assert body is not None
            _merge(self.objects[path], body)
        return 200, json.dumps(self.objects[path])


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


@pytest.fixture
def fake() -> FakeKube:
    return FakeKube()


@pytest.fixture
def kube(fake: FakeKube, tmp_path: Path) -> Iterator[Kube]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            assert self.headers["Authorization"] == "Bearer secret"
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, text = fake.answer(self.command, urlsplit(self.path).path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base class names them

        def log_message(self, *_: object) -> None:
            pass

    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("secret\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Kube("127.0.0.1", server.server_port, account, encrypted=False)
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pods() -> Pods:
    template = {
        "metadata": {"labels": {"stockpipeline.dev/pipeline": "nasdaq"}},
        "spec": {"containers": [{"name": "step", "image": "services:1", "args": []}]},
    }
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nasdaq-batch", "uid": "1"}
    return Pods(namespace="desk", template=template, owner=owner, record="nasdaq-batch-run")
