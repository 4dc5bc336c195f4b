"""Readiness and liveness."""

import json
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Gauge

from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer


def test_readiness_needs_every_check() -> None:
    readiness = Readiness(["kafka", "history"])
    assert not readiness.ready
    readiness.fine("kafka")
    readiness.waiting("history", "no history of AAPL")
    assert readiness.reasons() == {"kafka": None, "history": "no history of AAPL"}
    assert not readiness.ready
    readiness.fine("history")
    assert readiness.ready


def test_a_check_that_was_not_declared_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="kafka"):
        Readiness(["kafka"]).fine("redis")


def test_a_loop_that_hangs_is_not_alive() -> None:
    heartbeat = Heartbeat(limit_seconds=-1)
    assert not heartbeat.alive
    heartbeat.limit_seconds = 60
    assert heartbeat.alive


def test_the_server_answers_probes_and_scrapes() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("answer", "An answer", registry=registry)
    readiness = Readiness(["kafka"])
    server = StatusServer(registry, readiness, Heartbeat(), before_scrape=lambda: gauge.set(42))
    host, port = server.start(("127.0.0.1", 0))

    def get(path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://{host}:{port}{path}") as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    try:
        readiness.waiting("kafka", "Kafka at kafka:9092 cannot be reached")
        status, body = get("/readyz")
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert json.loads(body) == {
            "ready": False,
            "checks": {"kafka": "Kafka at kafka:9092 cannot be reached"},
        }
        readiness.fine("kafka")
        assert get("/readyz")[0] == HTTPStatus.OK
        status, body = get("/healthz")
        assert (status, json.loads(body)["alive"]) == (HTTPStatus.OK, True)
        status, body = get("/metrics?name[]=answer")
        assert status == HTTPStatus.OK
        assert "answer 42.0" in body
        assert get("/")[0] == HTTPStatus.NOT_FOUND
    finally:
        server.stop()
