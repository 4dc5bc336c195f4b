"""Two operators: one works, the other takes over, and a leader that was away writes nothing any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stockpipeline_operator.leadership.election import DURATION, LOOK_EVERY
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline

# What a candidate may need by its rules, and time for a busy machine.
TAKEOVER_SECONDS = DURATION + 2 * LOOK_EVERY + 20


@pytest.fixture
def pair(
    cluster: Cluster, rights: Path, the_operator: Operator, kafka: str, redis: str, tmp_path: Path
) -> Iterator[tuple[Operator, Operator]]:
    """Two operators on one Lease: the first leads, the second stands by."""
    the_operator.kill()
    first, second = (Operator(rights, tmp_path, kafka, redis, instance=name) for name in ("first", "second"))
    try:
        first.start()
        eventually(lambda: cluster.leader() == "first", "the first to lead")
        second.start()
        yield first, second
    finally:
        for each in (first, second):
            each.kill()
        cluster.give_lease_up()


def leading(operator: Operator) -> bool:
    return operator.metric("stockpipeline_operator_leading") == 1


def test_a_takeover_is_within_fifteen_seconds_by_its_rules() -> None:
    assert DURATION + 2 * LOOK_EVERY <= 15


def test_one_works_and_the_other_takes_over_after_a_kill(
    cluster: Cluster, pair: tuple[Operator, Operator]
) -> None:
    first, second = pair
    cluster.apply(pipeline("led"))
    cluster.settled("led")
    assert leading(first)
    assert not leading(second)
    assert second.metric("stockpipeline_operator_reconciles_total", '{result="success"}') == 0

    first.kill()
    cluster.edit("led", {"universe": {"symbols": ["MSFT"]}})
    eventually(lambda: cluster.leader() == "second", "the second to take over", seconds=TAKEOVER_SECONDS)
    cluster.settled("led")
    assert cluster.config("led")["spec"]["universe"]["symbols"] == ["MSFT"]
    assert leading(second)


def test_an_orderly_stop_hands_over_at_once(cluster: Cluster, pair: tuple[Operator, Operator]) -> None:
    first, second = pair
    first.stop()
    assert cluster.leader() != "first", "it gave the Lease up before it ended"
    eventually(lambda: leading(second), "the second to lead")


def test_a_leader_that_was_away_ends_without_a_write(
    cluster: Cluster, pair: tuple[Operator, Operator]
) -> None:
    first, _ = pair
    names = [f"paused-{number}" for number in range(6)]
    for name in names:
        cluster.apply(pipeline(name))
    # In the middle of its work.
    eventually(lambda: any(cluster.release_secrets(name) for name in names), "the first release")
    first.freeze()
    try:
        eventually(lambda: cluster.leader() == "second", "a takeover", seconds=TAKEOVER_SECONDS)
        for name in names:
            cluster.settled(name)
        before = [(cluster.pipeline(name), cluster.release_secrets(name)) for name in names]
    finally:
        first.thaw()
    assert first.wait(30) == 1
    assert cluster.leader() == "second"
    assert [(cluster.pipeline(name), cluster.release_secrets(name)) for name in names] == before
    for name in names:
        assert cluster.releases(name)[-1][1] == "deployed"
        assert len(cluster.releases(name)) <= 2, "made once, or once more after the interruption"
