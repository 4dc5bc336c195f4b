"""Requests to Kubernetes: who asks, what is asked, and what an answer means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from stockpipeline.adapters.kubernetes_api import (
    Access,
    KubernetesApi,
    KubernetesRefused,
    KubernetesUnreachable,
    NoCluster,
)

Object = dict[str, Any]
JOBS = "/apis/batch/v1/namespaces/desk/jobs"


class Server(HTTPServer):
    """Gives one answer, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.asked: list[tuple[str, str, str | None, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    def _handle(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
        status, data = server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - names of the base class

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def kubeconfig(path: Path, server: str, user: Object) -> Path:
    document = {
        "current-context": "desk",
        "contexts": [{"name": "desk", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def api(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubernetesApi:
    path = kubeconfig(
        tmp_path / "kubeconfig", f"http://127.0.0.1:{server.server_port}", {"token": "let-me-in"}
    )
    monkeypatch.setenv("KUBECONFIG", str(path))
    return KubernetesApi(Access.found())


def test_an_object_is_read_and_a_missing_one_is_none(api: KubernetesApi, server: Server) -> None:
    server.answer = (200, b'{"kind": "Job"}')
    assert api.get(f"{JOBS}/one", {"labelSelector": "a=b"}) == {"kind": "Job"}
    assert server.asked == [("GET", f"{JOBS}/one?labelSelector=a%3Db", "Bearer let-me-in", b"")]
    server.answer = (404, b'{"message": "not found"}')
    assert api.get(f"{JOBS}/one") is None


def test_a_log_that_is_not_there_yet_is_none(api: KubernetesApi, server: Server) -> None:
    server.answer = (400, b'{"message": "container is waiting to start"}')
    assert api.text("/api/v1/namespaces/desk/pods/one/log") is None
    server.answer = (200, "täglich\n".encode())
    assert api.text("/api/v1/namespaces/desk/pods/one/log") == "täglich\n"


def test_an_object_is_made_once(api: KubernetesApi, server: Server) -> None:
    server.answer = (201, b'{"metadata": {"uid": "1"}}')
    assert api.create(JOBS, {"kind": "Job"}) == {"metadata": {"uid": "1"}}
    assert json.loads(server.asked[0][3]) == {"kind": "Job"}
    server.answer = (409, b'{"message": "exists already"}')
    assert api.create(JOBS, {"kind": "Job"}) is None


def test_just_the_object_that_is_meant_is_deleted(api: KubernetesApi, server: Server) -> None:
    api.delete(f"{JOBS}/one", "uid-1")
    method, path, _, body = server.asked[0]
    assert (method, path) == ("DELETE", f"{JOBS}/one")
    assert json.loads(body) == {"propagationPolicy": "Background", "preconditions": {"uid": "uid-1"}}
    for status in (404, 409):  # gone, or another one of its name
        server.answer = (status, b"{}")
        api.delete(f"{JOBS}/one", "uid-1")


def test_a_refusal_has_the_servers_words(api: KubernetesApi, server: Server) -> None:
    server.answer = (403, b'{"message": "jobs.batch is forbidden: User \\"x\\" cannot create"}')
    for ask in (
        lambda: api.get(JOBS),
        lambda: api.text(JOBS),
        lambda: api.create(JOBS, {}),
        lambda: api.delete(JOBS, "1"),
    ):
        with pytest.raises(KubernetesRefused, match="cannot create") as caught:
            ask()
        assert caught.value.status == 403


def test_a_server_that_is_gone_is_named(
    api: KubernetesApi, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(KubernetesUnreachable, match=f"127.0.0.1:{port} does not answer"):
        api.create(JOBS, {})


def test_a_token_that_is_renewed_in_its_file_is_read_again(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", {"tokenFile": str(token)})
    access = Access.of_kubeconfig(path)
    for text in ("first", "second"):
        token.write_text(f"{text}\n")
        assert access.headers() == {"Authorization": f"Bearer {text}"}


def test_a_user_without_a_token_shows_none(tmp_path: Path) -> None:
    assert Access.of_kubeconfig(kubeconfig(tmp_path / "one", "http://127.0.0.1:1", {})).headers() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no context"),
        ("{current-context: other, contexts: []}", "contexts: other"),
        ("[unclosed", "no context"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(NoCluster, match=message) as caught:
        Access.of_kubeconfig(path)
    assert str(path) in str(caught.value)


def test_a_login_by_plugin_says_what_to_do(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "one", "https://127.0.0.1:1", {"exec": {"command": "aws"}})
    with pytest.raises(NoCluster, match=r"logs in by exec.*kubectl proxy"):
        Access.of_kubeconfig(path)


def test_outside_of_everything_there_is_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoCluster, match="service account"):
        Access.found()
