"""The watch of what pipelines own: it goes on where it was, and says when it cannot."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kopf
import pytest

from stockpipeline_operator.controller.owned_watch import OwnedWatch
from stockpipeline_operator.controller.work_queue import WorkQueue
from stockpipeline_operator.kube.client import ApiUnreachable, Gone, KubeClient
from stockpipeline_operator.kube.resources import OWNED, OWNED_SELECTOR

Event = dict[str, Any]


def event(kind: str, version: int, pipeline: str = "demo") -> Event:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if kind != "BOOKMARK":
        metadata |= {"namespace": "default", "name": "x", "labels": {"stockpipeline.dev/pipeline": pipeline}}
    return {"type": kind, "object": {"kind": "PartialObjectMetadata", "metadata": metadata}}


EXPIRED: Event = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}


class ScriptedServer(ThreadingHTTPServer):
    """An API server that answers each watch with the next part of a script, then holds it open."""

    daemon_threads = True

    def __init__(self, script: list[list[Event]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.watched_from: list[str] = []
        self.ended = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if "watch" not in query:
            self._send(json.dumps({"metadata": {"resourceVersion": "1"}, "items": None}).encode())
            self._send(b"")
            return
        assert query["labelSelector"] == [OWNED_SELECTOR]
        assert "as=PartialObjectMetadata;" in self.headers["Accept"]
        self.server.watched_from.append(query["resourceVersion"][0])
        if not self.server.script:
            self.server.ended.wait(30)
            return
        text = b"".join(json.dumps(one).encode() + b"\n" for one in self.server.script.pop(0))
        # A line may come in pieces.
        self._send(text[:20])
        self._send(text[20:])
        self._send(b"")

    def _send(self, chunk: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(*script: list[Event]) -> Iterator[tuple[ScriptedServer, KubeClient]]:
    server = ScriptedServer(list(script))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        info = kopf.ConnectionInfo(server=f"http://127.0.0.1:{server.server_port}")
        yield server, KubeClient(info, connections=1)
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def watch(client: KubeClient, silence: float = 30) -> list[Event]:
    return list(client.watch("/x", OWNED_SELECTOR, "1", seconds=300, silence=silence))


def test_events_are_read_line_by_line() -> None:
    events = [event("ADDED", 2), event("BOOKMARK", 9)]
    with serving(events) as (_, client):
        assert watch(client) == events


def test_what_is_too_old_is_gone() -> None:
    with serving([event("ADDED", 2), EXPIRED]) as (_, client), pytest.raises(Gone, match="too old"):
        watch(client)


def test_a_silent_server_is_given_up() -> None:
    with serving() as (_, client), pytest.raises(ApiUnreachable):
        watch(client, silence=0.1)


def test_it_goes_on_after_a_bookmark_and_asks_for_everything_after_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stockpipeline_operator.controller.owned_watch.OWNED", OWNED[:1])
    queue: WorkQueue[tuple[str, str]] = WorkQueue()
    missed = threading.Event()
    script = (
        [event("MODIFIED", 5, "first"), event("BOOKMARK", 7)],
        [EXPIRED],
        [event("DELETED", 8, "second")],
    )
    with serving(*script) as (server, client):
        changed: list[tuple[str, str]] = []
        owned = OwnedWatch(client, queue, (), changed=changed.append, missed=missed.set)
        owned.start(patience=30)
        assert queue.get() == ("default", "first")
        assert queue.get() == ("default", "second")
        assert changed == [("default", "first"), ("default", "second")]
        assert missed.is_set(), "what happened in the gap is not known"
        assert server.watched_from[:3] == ["1", "7", "1"]
        assert owned.silent_seconds() < 60
        owned.stop()
