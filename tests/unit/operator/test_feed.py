"""What feeds a pipeline: what producers say, how it is judged, and when it is told."""

from __future__ import annotations

import datetime
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from prometheus_client.exposition import generate_latest

from stockpipeline.api import StockPipelineSpec
from stockpipeline.runtime.metrics import ProducerMetrics, new_registry
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline_operator.feed import readings
from stockpipeline_operator.feed.fresh import Followed, judge_freshness, tick_distance
from stockpipeline_operator.feed.probe import FeedProbe
from stockpipeline_operator.feed.rate import Rate, looked, step_of
from stockpipeline_operator.feed.readings import NoReading, Reading, SourceReading, combined, parse, read
from stockpipeline_operator.feed.sources import judge_sources

KEY = ("desk", "demo")
NOW = datetime.datetime(2026, 11, 23, 15, tzinfo=UTC)  # the exchange is open since 14:30
REPLAYED = datetime.datetime(2008, 10, 10, 19, tzinfo=UTC)


def spec(replay: dict[str, Any] | None = None, **source: Any) -> StockPipelineSpec:
    kind = source or {"replay": {"start": "2004-01-02", **(replay or {})}}
    return StockPipelineSpec.model_validate(
        {"universe": {"symbols": ["IBM"]}, "sources": [{"name": "source", **kind}]}
    )


def moved(minutes_ago: float, event_time: datetime.datetime | None, *, exhausted: bool = False) -> Followed:
    return Followed(Reading(event_time, exhausted), NOW - timedelta(minutes=minutes_ago))


READY = json.dumps({"ready": True, "checks": {"kafka": "ok", "resume": "ok"}})


def test_the_metrics_that_a_producer_exports_are_understood() -> None:
    registry = new_registry()
    metrics, sources = ProducerMetrics(registry, "demo"), SourceMetrics(registry, "demo")
    assert parse(generate_latest(registry).decode(), READY) == Reading(None, exhausted=False)
    metrics.event_time.set(REPLAYED.timestamp())
    metrics.exhausted.set(1)
    metrics.sent("kis", 2_000_000)
    metrics.sent("yahoo", 5)
    sources.source("kis", 3, 2)
    sources.source("yahoo", 1, 0)
    sources.symbols(4, 1, 12.5)
    assert parse(generate_latest(registry).decode(), READY) == Reading(
        REPLAYED,
        exhausted=True,
        ticks=2_000_005,
        sources=(SourceReading("kis", 3, tripped=True), SourceReading("yahoo", 1)),
        live_symbols=4,
        stale_symbols=1,
    )


def test_what_a_producer_waits_for_is_passed_on() -> None:
    checks = {"kafka": "ok", "resume": "the key appkey of Secret desk cannot be read"}
    found = parse("", json.dumps({"ready": False, "checks": checks}))
    assert found.waits_for == ("resume: the key appkey of Secret desk cannot be read",)


@pytest.mark.parametrize(
    ("metrics", "readiness"),
    [("stockpipeline_producer_exhausted{} x", READY), ("", "<html>"), ("", "[]")],
)
def test_what_is_no_answer_of_a_producer_is_none(metrics: str, readiness: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(metrics, readiness)


class Answers(BaseHTTPRequestHandler):
    """A pod that answers as it was told to."""

    said: ClassVar[dict[str, tuple[int, bytes]]] = {}

    def do_GET(self) -> None:
        status, body = self.said[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody wants to read it."""


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[int, bytes]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(readings, "_PORT", server.server_address[1])
    found = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.server_address[1]))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [found])
    Answers.said = {"/metrics": (200, b""), "/readyz": (503, b'{"checks": {"kafka": "away"}}')}
    yield Answers.said
    server.shutdown()
    server.server_close()
    thread.join()


def test_producers_are_asked_also_while_they_are_not_ready(pod: dict[str, tuple[int, bytes]]) -> None:
    pod["/metrics"] = (200, b'stockpipeline_producer_exhausted{pipeline="demo"} 1.0\n')
    assert read("desk", "demo") == Reading(None, exhausted=True, waits_for=("kafka: away",))
    assert readings.reasons("127.0.0.1") == ("kafka: away",)
    pod["/readyz"] = (200, READY.encode())
    assert readings.reasons("127.0.0.1") == ()
    pod["/readyz"] = (500, b"")
    assert readings.reasons("127.0.0.1") == ()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/metrics", (404, b"")),
        ("/metrics", (200, b"\xff")),
        ("/metrics", (200, b"#" * (readings._MOST_BYTES + 1))),
        ("/readyz", (200, b"ready")),
        ("/readyz", (500, b"{}")),
    ],
    ids=["not found", "no text", "too much", "no JSON", "error"],
)
def test_a_pod_that_answers_something_else_is_not_heard(
    pod: dict[str, tuple[int, bytes]], path: str, answer: tuple[int, bytes]
) -> None:
    pod[path] = answer
    with pytest.raises(NoReading, match=r"^demo-producer\.desk\.svc:"):
        read("desk", "demo")


def test_several_producers_are_one() -> None:
    late, early = Reading(REPLAYED, exhausted=True), Reading(REPLAYED - timedelta(days=1))
    assert combined([early, late, Reading(None)]) == Reading(REPLAYED, exhausted=False)
    assert combined([late, late]).exhausted
    assert combined([]) == Reading(None)
    first = Reading(None, ticks=3, sources=(SourceReading("kis", 2),), live_symbols=2, waits_for=("a",))
    second = Reading(None, ticks=4, sources=(SourceReading("kis", 1, tripped=True),), waits_for=("a", "b"))
    assert combined([first, second]) == Reading(
        None, ticks=7, sources=(SourceReading("kis", 3, tripped=True),), live_symbols=2, waits_for=("a", "b")
    )


@pytest.mark.parametrize(
    ("followed", "fresh", "reason"),
    [
        (None, None, "ProducerSilent"),
        (moved(0, None), False, "NoTicks"),
        (moved(1, REPLAYED), True, "ReplayRunning"),
        (moved(6, REPLAYED), False, "ReplayStands"),
        (moved(600, REPLAYED, exhausted=True), True, "ReplayExhausted"),
    ],
)
def test_a_replay_lives_in_its_own_time(followed: Followed | None, fresh: bool | None, reason: str) -> None:
    found = judge_freshness(spec(), followed, NOW)
    assert (found.holds, found.reason) == (fresh, reason)


def test_a_slow_replay_is_given_the_time_that_its_ticks_take() -> None:
    slow = spec({"speed": 0.1, "ticksPerBar": 100})
    replay = slow.sources[0].replay
    assert replay is not None
    assert tick_distance(replay, 1) == timedelta(seconds=2340)
    assert judge_freshness(slow, moved(60, REPLAYED), NOW).reason == "ReplayRunning"
    assert judge_freshness(slow, moved(120, REPLAYED), NOW).reason == "ReplayStands"


@pytest.mark.parametrize(
    ("now", "newest", "fresh", "reason"),
    [
        ("2026-11-23T15:00", "2026-11-23T14:58", True, "Current"),
        ("2026-11-23T15:00", "2026-11-23T14:50", False, "Stale"),
        ("2026-11-23T14:33", "2026-11-20T20:59", True, "Current"),  # it opened only now
        ("2026-11-23T22:00", "2026-11-23T20:59", True, "ExchangeClosed"),
        ("2026-11-23T22:00", "2026-11-23T19:00", False, "Stale"),
        ("2026-11-29T12:00", "2026-11-27T17:59", True, "ExchangeClosed"),  # after a half day, on a Sunday
    ],
)
def test_live_data_live_by_the_exchange(now: str, newest: str, fresh: bool, reason: str) -> None:
    instant, event_time = (datetime.datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (now, newest))
    found = judge_freshness(spec(yahoo={}), Followed(Reading(event_time), instant), instant)
    assert (found.holds, found.reason) == (fresh, reason)


def test_beyond_the_table_of_hours_nothing_is_known() -> None:
    then = datetime.datetime(2050, 1, 3, 15, tzinfo=UTC)
    found = judge_freshness(spec(yahoo={}), Followed(Reading(then), then), then)
    assert (found.holds, found.reason) == (None, "HoursUnknown")


TWO = StockPipelineSpec.model_validate(
    {
        "universe": {"symbols": ["IBM", "AAPL"]},
        "sources": [
            {"name": "first", "kis": {"credentials": [{"secretRef": {"name": "kis"}}]}},
            {"name": "second", "yahoo": {}},
        ],
    }
)
KEY_MISSING = "resume: the key appkey of Secret kis cannot be read"


def sourced(first: int, second: int, stale: int = 0, *, tripped: tuple[str, ...] = ()) -> Reading:
    served = {"second": second, "first": first}
    sources = tuple(SourceReading(name, count, name in tripped) for name, count in served.items())
    return Reading(NOW, sources=sources, live_symbols=2 - stale, stale_symbols=stale)


@pytest.mark.parametrize(
    ("reading", "holds", "reason", "words"),
    [
        (None, None, "ProducerSilent", "see the condition Ready"),
        (Reading(None), False, "NotStarted", "have not begun yet"),
        (Reading(None, waits_for=(KEY_MISSING,)), False, "NotStarted", KEY_MISSING),
        (sourced(2, 0), True, "Preferred", "first serves; second stands by"),
        (
            sourced(0, 2, tripped=("first",)),
            True,
            "FallbackInUse",
            "first stands by, fails (its circuit breaker is open); second serves",
        ),
        (sourced(1, 1), True, "FallbackInUse", "first serves; second serves"),
        (sourced(1, 1, stale=1), False, "NoHealthySource", "some symbols have no source that works: first"),
        (
            sourced(2, 0, stale=2, tripped=("first", "second")),
            False,
            "NoHealthySource",
            "no source works: first serves, fails (its circuit breaker is open); second stands by, fails",
        ),
    ],
)
def test_sources_are_judged(reading: Reading | None, holds: bool | None, reason: str, words: str) -> None:
    found = judge_sources(TWO, reading)
    assert (found.holds, found.reason) == (holds, reason)
    assert words in found.message


def test_numbers_that_go_on_are_no_news() -> None:
    assert judge_sources(TWO, sourced(1, 1)) == judge_sources(TWO, sourced(5, 7))
    few, many = (replace(sourced(1, 1), live_symbols=9, stale_symbols=count) for count in (1, 4))
    assert judge_sources(TWO, few) == judge_sources(TWO, many)


def test_a_replay_needs_no_provider() -> None:
    found = judge_sources(spec(), Reading(None, waits_for=("kafka: away",)))
    assert (found.holds, found.reason) == (True, "Replay")


@pytest.mark.parametrize(
    ("rate", "step"),
    [
        (0.0, "0"), (0.01, "<1"), (0.99, "<1"), (1.0, "1-10"), (48.0, "10-100"), (100.0, "100-1k"),
        (9_999.0, "1k-10k"), (10_000.0, ">10k"), (3e6, ">10k"),
    ],
)  # fmt: skip
def test_rates_have_steps(rate: float, step: str) -> None:
    assert step_of(rate) == step


def said(rates: list[float], before: Rate | None = None) -> list[str | None]:
    """What is said after each of some looks, half a minute apart."""
    found, ticks, steps = looked(before, 0, NOW), 0, []
    for number, rate in enumerate(rates, 1):
        ticks += round(rate * 30)
        found = looked(found, ticks, NOW + timedelta(seconds=30 * number))
        steps.append(found.step)
    return steps


def test_a_step_is_left_when_two_looks_agree_and_not_near_its_ends() -> None:
    assert looked(None, 500, NOW).step is None, "one look is no rate"
    assert said([50, 2000, 50, 2000, 2000, 2000]) == ["10-100"] * 4 + ["1k-10k"] * 2
    assert said([95, 105, 95, 105, 105, 120]) == ["10-100"] * 6
    assert said([95, 130, 130, 101, 101, 85, 85, 70, 70]) == ["10-100"] * 2 + ["100-1k"] * 6 + ["10-100"]
    assert said([5, 0, 0, 0.5, 0.5]) == ["1-10", "1-10", "0", "0", "<1"]


def test_a_producer_that_starts_anew_keeps_its_step() -> None:
    found = looked(Rate(1_000_000, NOW, "10-100", "10-100"), 7, NOW + timedelta(seconds=30))
    assert (found.ticks, found.step) == (7, "10-100")
    assert looked(found, 1_507, NOW + timedelta(seconds=60)).step == "10-100"


class Producers:
    """Answers like the producers of a pipeline; the clock stands until it is set."""

    def __init__(self) -> None:
        self.answer: Reading | None = None
        self.now = NOW
        self.changes: list[tuple[str, str]] = []
        self.probe = FeedProbe(self._read, self.changes.append, lambda: self.now)

    def _read(self, namespace: str, name: str) -> Reading:
        assert (namespace, name) == KEY
        if self.answer is None:
            raise NoReading("nobody answers")
        return self.answer


def test_a_pass_is_asked_for_only_when_the_judgement_changes() -> None:
    producers = Producers()
    probe = producers.probe
    assert probe.follow(KEY, spec()) is None
    probe.round()
    assert producers.changes == [], "nothing is known, so what was reported stays"

    for minute in range(3):
        producers.answer = Reading(REPLAYED + timedelta(minutes=minute))
        producers.now += timedelta(minutes=1)
        probe.round()
        probe.follow(KEY, spec())
    assert producers.changes == [KEY, KEY], "ticks that go on are no news, once there is a rate"

    producers.answer = None
    producers.now += timedelta(minutes=4)
    probe.round()
    assert producers.changes == [KEY, KEY], "one answer less is no news"
    producers.now += timedelta(minutes=2)
    probe.round()
    assert producers.changes == [KEY, KEY, KEY]
    judgement = probe.follow(KEY, spec())
    assert judgement is not None
    assert judgement.fresh.reason == "ReplayStands"
    assert "no tick has come since 2026-11-23 15:03 UTC" in judgement.fresh.message


def test_a_producer_that_stays_silent_is_news_and_a_single_silence_is_none() -> None:
    producers = Producers()
    producers.probe.follow(KEY, spec())
    for expected in ([], [], [KEY], [KEY]):
        producers.probe.round()
        assert producers.changes == expected
    feed = producers.probe.follow(KEY, spec())
    assert feed is not None
    assert (feed.fresh.reason, feed.sources.reason) == ("ProducerSilent", "ProducerSilent")

    producers.answer = Reading(REPLAYED)
    producers.probe.round()
    assert producers.changes == [KEY, KEY]
    producers.answer = None
    producers.probe.round()
    producers.probe.round()
    assert producers.changes == [KEY, KEY]


def test_another_step_of_the_rate_is_news() -> None:
    producers = Producers()
    producers.probe.follow(KEY, spec())
    for look in range(6):
        producers.answer = Reading(REPLAYED + timedelta(minutes=look), ticks=look * 1500)
        producers.now += timedelta(seconds=30)
        producers.probe.round()
    assert producers.changes == [KEY, KEY], "the first answer, and the rate once there is one"
    feed = producers.probe.follow(KEY, spec())
    assert feed is not None
    assert feed.ticks_per_second == "10-100"


def test_what_is_forgotten_is_not_asked() -> None:
    producers = Producers()
    producers.answer = Reading(REPLAYED)
    producers.probe.follow(KEY, spec())
    producers.probe.forget(KEY)
    producers.probe.round()
    assert producers.changes == []
