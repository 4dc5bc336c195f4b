"""How fresh data are: what producers say, how it is judged, and when it is told."""

from __future__ import annotations

import datetime
from datetime import UTC, timedelta
from typing import Any

import pytest

from stockpipeline.api import StockPipelineSpec
from stockpipeline.runtime.metrics import ProducerMetrics, new_registry
from stockpipeline_operator.freshness.judgement import Followed, judge, tick_distance
from stockpipeline_operator.freshness.probe import FreshnessProbe
from stockpipeline_operator.freshness.readings import NoReading, Reading, combined, parse

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


def test_the_metrics_that_a_producer_exports_are_understood() -> None:
    from prometheus_client.exposition import generate_latest

    registry = new_registry()
    metrics = ProducerMetrics(registry, "demo")
    assert parse(generate_latest(registry).decode()) == Reading(None, exhausted=False)
    metrics.event_time.set(REPLAYED.timestamp())
    metrics.exhausted.set(1)
    assert parse(generate_latest(registry).decode()) == Reading(REPLAYED, exhausted=True)


def test_several_producers_are_one() -> None:
    late, early = Reading(REPLAYED, exhausted=True), Reading(REPLAYED - timedelta(days=1))
    assert combined([early, late, Reading(None)]) == Reading(REPLAYED, exhausted=False)
    assert combined([late, late]).exhausted
    assert combined([]) == Reading(None)


@pytest.mark.parametrize(
    ("followed", "fresh", "reason"),
    [
        (None, None, "NotKnown"),
        (moved(0, None), False, "NoTicks"),
        (moved(1, REPLAYED), True, "ReplayRunning"),
        (moved(6, REPLAYED), False, "ReplayStands"),
        (moved(600, REPLAYED, exhausted=True), True, "ReplayExhausted"),
    ],
)
def test_a_replay_lives_in_its_own_time(followed: Followed | None, fresh: bool | None, reason: str) -> None:
    found = judge(spec(), followed, NOW)
    assert (found.fresh, found.reason) == (fresh, reason)


def test_a_slow_replay_is_given_the_time_that_its_ticks_take() -> None:
    slow = spec({"speed": 0.1, "ticksPerBar": 100})
    replay = slow.sources[0].replay
    assert replay is not None
    assert tick_distance(replay, 1) == timedelta(seconds=2340)
    assert judge(slow, moved(60, REPLAYED), NOW).reason == "ReplayRunning"
    assert judge(slow, moved(120, REPLAYED), NOW).reason == "ReplayStands"


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
    found = judge(spec(yahoo={}), Followed(Reading(event_time), instant), instant)
    assert (found.fresh, found.reason) == (fresh, reason)


class Producers:
    """Answers like the producers of a pipeline; the clock stands until it is set."""

    def __init__(self) -> None:
        self.answer: Reading | None = None
        self.now = NOW
        self.changes: list[tuple[str, str]] = []
        self.probe = FreshnessProbe(self._read, self.changes.append, lambda: self.now)

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
    assert producers.changes == [KEY], "ticks that go on are no news"

    producers.answer = None
    producers.now += timedelta(minutes=4)
    probe.round()
    assert producers.changes == [KEY], "one answer less is no news"
    producers.now += timedelta(minutes=2)
    probe.round()
    assert producers.changes == [KEY, KEY]
    judgement = probe.follow(KEY, spec())
    assert judgement is not None
    assert judgement.reason == "ReplayStands"
    assert "no tick has come since 2026-11-23 15:03 UTC" in judgement.message
    probe.round()
    assert producers.changes == [KEY, KEY]


def test_what_is_forgotten_is_not_asked() -> None:
    producers = Producers()
    producers.answer = Reading(REPLAYED)
    producers.probe.follow(KEY, spec())
    producers.probe.forget(KEY)
    producers.probe.round()
    assert producers.changes == []
