"""Whether replicas follow: what they say, how it is judged, and when it is told."""

from __future__ import annotations

import pytest
from prometheus_client.exposition import generate_latest

from stockpipeline.api import ReplicaSync
from stockpipeline.runtime.metrics import new_registry
from stockpipeline.runtime.store_metrics import ReplicaMetrics
from stockpipeline_operator.feed.readings import NoReading
from stockpipeline_operator.feed.replicas import ReplicaProbe, ReplicaReading, judge, parse

KEY = ("desk", "demo")
TWO = ReplicaSync.model_validate({"replicas": 2})
FRESH, BEHIND, EMPTY = ReplicaReading(7, 0.3), ReplicaReading(5, 61.0), ReplicaReading(None, None)


def test_the_metrics_that_a_replica_exports_are_understood() -> None:
    registry = new_registry()
    metrics = ReplicaMetrics(registry, "demo")
    assert parse(generate_latest(registry).decode()) == EMPTY
    metrics.show("generation", 7)
    metrics.show("reader_generation", 6)
    metrics.show("lag_generations", 1)
    metrics.show("lag_seconds", 0.3)
    assert parse(generate_latest(registry).decode()) == FRESH


@pytest.mark.parametrize(
    ("readings", "fresh", "reason"),
    [
        ((), False, "Missing"),
        ((FRESH,), False, "Missing"),
        ((FRESH, EMPTY), False, "NothingPulled"),
        ((FRESH, BEHIND), False, "Behind"),
        ((FRESH, ReplicaReading(7, None)), False, "Behind"),
        ((FRESH, FRESH), True, "Following"),
        # While a new version is rolled out there is one more.
        ((FRESH, FRESH, FRESH), True, "Following"),
    ],
)
def test_all_must_follow(readings: tuple[ReplicaReading, ...], fresh: bool, reason: str) -> None:
    found = judge(TWO, readings)
    assert (found.holds, found.reason) == (fresh, reason)


def test_patience_grows_with_the_time_between_two_looks() -> None:
    slow = ReplicaSync.model_validate({"schedule": {"pull": "1h"}})
    assert judge(slow, (ReplicaReading(7, 4 * 3600.0),)).holds
    assert not judge(slow, (ReplicaReading(7, 6 * 3600.0),)).holds


class World:
    """Replicas that answer, or not, and what is told of changes."""

    def __init__(self) -> None:
        self.readings: tuple[ReplicaReading, ...] | None = (FRESH, FRESH)
        self.changes: list[tuple[str, str]] = []
        self.probe = ReplicaProbe(self._read, self.changes.append)

    def _read(self, namespace: str, name: str) -> tuple[ReplicaReading, ...]:
        if self.readings is None:
            raise NoReading(f"{namespace}/{name}")
        return self.readings


def test_a_pass_is_asked_for_only_when_the_judgement_changes() -> None:
    world = World()
    assert world.probe.follow(KEY, TWO) is None, "nothing is known before the first answer"
    world.probe.round()
    assert world.changes == [KEY]
    found = world.probe.follow(KEY, TWO)
    assert found is not None
    assert found.holds
    world.probe.round()
    assert world.changes == [KEY]
    world.readings = (FRESH, BEHIND)
    world.probe.round()
    assert world.changes == [KEY, KEY]


def test_replicas_that_cannot_be_found_are_missing() -> None:
    world = World()
    world.readings = None
    world.probe.follow(KEY, TWO)
    world.probe.round()
    found = world.probe.follow(KEY, TWO)
    assert found is not None
    assert (found.holds, found.reason) == (False, "Missing")


def test_who_is_forgotten_is_not_asked() -> None:
    world = World()
    world.probe.follow(KEY, TWO)
    world.probe.forget(KEY)
    world.probe.round()
    assert world.changes == []
