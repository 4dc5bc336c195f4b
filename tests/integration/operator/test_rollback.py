"""A rollout that fails goes back to what ran well, says why, and is not tried again without a reason."""

from __future__ import annotations

import datetime

from stockpipeline_operator.kube.client import Object
from stockpipeline_operator.kube.resources import POD, STOCK_PIPELINE
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline

LAST_WORDS = "stockpipeline: history: no bars for MSFT before 2004-01-02"


def symbols(cluster: Cluster, name: str) -> list[str]:
    found: list[str] = cluster.config(name)["spec"]["universe"]["symbols"]
    return found


def set_universe(cluster: Cluster, name: str, *names: str) -> None:
    cluster.edit(name, {"universe": {"symbols": list(names)}})


def break_down(cluster: Cluster, name: str) -> str:
    """Give a settled pipeline a spec that never becomes ready; return what the condition says."""
    set_universe(cluster, name, "MSFT")
    cluster.has_reason(name, "WorkloadsStarting")
    cluster.given_up(name, "producer", LAST_WORDS)
    message = cluster.has_reason(name, "RolledBack")
    cluster.client.delete(POD.path("default", f"{name}-producer-pod"))
    return message


def failed_rollout(cluster: Cluster, name: str) -> Object | None:
    found: Object | None = cluster.pipeline(name)["status"].get("failedRollout")
    return found


def test_a_failed_rollout_goes_back_and_says_why(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("fallen"))
    cluster.settled("fallen")

    message = break_down(cluster, "fallen")
    assert "revision 2 failed: producer 0/1 ready (container producer waits: CrashLoopBackOff" in message
    assert LAST_WORDS in message
    assert "its progress deadline has passed" in message
    assert cluster.condition("fallen", "Stalled")[0] == "True"
    assert cluster.releases("fallen") == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert symbols(cluster, "fallen") == ["AAPL", "IBM"], "the earlier configuration"
    cluster.rolled_out("fallen")
    eventually(lambda: "runs instead" in cluster.condition("fallen")[2], "the good revision to run")

    # Neither an echo nor a restart tries it again.
    found = failed_rollout(cluster, "fallen")
    assert found is not None
    operator.kill()
    operator.start()
    eventually(lambda: operator.has_looked_at(cluster.known_pipelines()), "a pass over every pipeline")
    assert cluster.releases("fallen")[-1] == (3, "deployed")
    assert failed_rollout(cluster, "fallen") == found
    reasons = [reason for reason, _ in cluster.events("fallen")]
    assert reasons.count("RolloutFailed") == 1
    assert reasons.count("RolledBack") == 2, "the step, and what became of the pipeline"

    set_universe(cluster, "fallen", "GOOG")
    cluster.settled("fallen")
    assert symbols(cluster, "fallen") == ["GOOG"], "another spec is tried at once"
    assert failed_rollout(cluster, "fallen") is None


def test_the_same_is_tried_again_when_its_time_has_come(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("patient"))
    cluster.settled("patient")
    break_down(cluster, "patient")
    cluster.rolled_out("patient")

    # Ten minutes pass.
    path = STOCK_PIPELINE.path("default", "patient")
    past = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    cluster.client.merge(f"{path}/status", {"status": {"failedRollout": {"retryAt": past}}})
    cluster.client.merge(path, {"metadata": {"annotations": {"note": "look"}}})
    operator.kill()
    operator.start()
    cluster.has_reason("patient", "WorkloadsStarting")
    assert symbols(cluster, "patient") == ["MSFT"]

    cluster.given_up("patient", "producer", LAST_WORDS)
    cluster.has_reason("patient", "RolledBack")
    found = failed_rollout(cluster, "patient")
    assert found is not None
    assert (found["revision"], found["attempts"]) == (4, 2)
    revisions = cluster.releases("patient")
    assert revisions[-1] == (5, "deployed")
    assert len(revisions) <= 5
    cluster.client.delete(POD.path("default", "patient-producer-pod"))


def test_a_first_revision_that_fails_waits_for_the_user(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("stillborn"))
    cluster.has_reason("stillborn", "WorkloadsStarting")
    cluster.given_up("stillborn", "producer", LAST_WORDS)
    message = cluster.has_reason("stillborn", "RolloutFailed")
    assert LAST_WORDS in message
    assert "There is no earlier revision" in message
    cluster.client.delete(POD.path("default", "stillborn-producer-pod"))
    assert cluster.releases("stillborn") == [(1, "deployed")]

    set_universe(cluster, "stillborn", "IBM")
    cluster.settled("stillborn")
    assert cluster.releases("stillborn") == [(1, "superseded"), (2, "deployed")]


def test_what_was_suspended_is_never_gone_back_to(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("rested"))
    cluster.settled("rested")
    cluster.edit("rested", {"suspend": True, "universe": {"symbols": ["MSFT"]}})
    cluster.has_reason("rested", "Suspended")
    cluster.edit("rested", {"suspend": False})
    cluster.has_reason("rested", "WorkloadsStarting")
    cluster.given_up("rested", "producer", LAST_WORDS)

    cluster.has_reason("rested", "RolledBack")
    cluster.client.delete(POD.path("default", "rested-producer-pod"))
    assert symbols(cluster, "rested") == ["AAPL", "IBM"], "the last that ran"
    cluster.edit("rested", {"suspend": True})
    cluster.has_reason("rested", "Suspended")


def test_a_history_has_at_most_five_revisions(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("long"))
    cluster.settled("long")
    for symbol in ("A", "B", "C", "D"):
        set_universe(cluster, "long", symbol)
        cluster.settled("long")
    break_down(cluster, "long")
    assert [revision for revision, _ in cluster.releases("long")] == [3, 4, 5, 6, 7]
    assert symbols(cluster, "long") == ["D"]


def test_the_last_good_revision_stays_behind_ever_newer_ones(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("restless"))
    cluster.settled("restless")
    for symbol in ("A", "B", "C", "D", "E"):
        set_universe(cluster, "restless", symbol)
        eventually(lambda symbol=symbol: symbols(cluster, "restless") == [symbol], "the next revision")
        cluster.has_reason("restless", "WorkloadsStarting")
    break_down(cluster, "restless")
    assert symbols(cluster, "restless") == ["AAPL", "IBM"], "the last that ran"
    assert len(cluster.releases("restless")) == 5
