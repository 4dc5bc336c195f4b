"""Small pure parts: Helm's storage format, settings, topics, Deployments, pods, events of the watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stockpipeline.api import StockPipelineSpec, Topic
from stockpipeline_operator.controller.handlers import Seen
from stockpipeline_operator.helm import storage
from stockpipeline_operator.helm.revision import expendable
from stockpipeline_operator.kafka_topics import topic_config
from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE
from stockpipeline_operator.reconcile import pod_troubles
from stockpipeline_operator.reconcile.contents import Part
from stockpipeline_operator.reconcile.observe import compare_topics, workload
from stockpipeline_operator.reconcile.problems import find_problems
from stockpipeline_operator.reconcile.state import ObjectRef
from stockpipeline_operator.settings import Settings, SettingsError

PREFIX = "STOCKPIPELINE_OPERATOR_"
SPEC: dict[str, Any] = {
    "universe": {"symbols": ["AAPL"]},
    "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
}


def environment(**changes: str) -> dict[str, str]:
    variables = {
        "CHART": str(Path(__file__).parent),
        "SERVICES_REPOSITORY": "localhost/services",
        "SERVICES_TAG": "1",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "REDIS_URL": "redis://redis:6379/0",
        "LEASE": "system/operator",
    }
    return {PREFIX + name: value for name, value in (variables | changes).items()}


def test_settings_have_defaults() -> None:
    settings = Settings.from_environment(environment())
    assert (settings.workers, settings.resync_seconds, settings.namespaces) == (4, 30, ())
    assert Settings.from_environment(environment(NAMESPACES="a,b")).namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"REDIS_URL": ""}, "the environment variable STOCKPIPELINE_OPERATOR_REDIS_URL is not set"),
        ({"WORKERS": "many"}, "STOCKPIPELINE_OPERATOR_WORKERS is 'many'; it must be a number"),
        ({"WORKERS": "0"}, "STOCKPIPELINE_OPERATOR_WORKERS is 0; it must be at least 1"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, "KAFKA_BOOTSTRAP_SERVERS: kafka.bootstrapServers must be"),
        ({"REDIS_URL": "redis://redis:6379/0?db=1"}, "STOCKPIPELINE_OPERATOR_REDIS_URL: redis.url must be"),
        ({"LEASE": "operator"}, "STOCKPIPELINE_OPERATOR_LEASE is 'operator'; it must be NAMESPACE/NAME"),
        ({"CHART": "/nowhere"}, "STOCKPIPELINE_OPERATOR_CHART is /nowhere, which is not a directory"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment(environment(**changes))


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match="without a user or password") as caught:
        Settings.from_environment(environment(REDIS_URL="redis://:hunter2@redis:6379/0"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "keep", "gone"),
    [
        ([1, 2, 3, 4], None, set()),
        ([1, 2, 3, 4, 5, 6], None, {1, 2}),
        ([1, 2, 3, 4, 5, 6], 1, {2, 3}),
        ([1, 2, 3, 4, 5, 6], 6, {1, 2}),
        ([3, 4, 5, 6, 7], 1, {3}),
    ],
)
def test_a_history_keeps_the_newest_and_the_good_one(
    numbers: list[int], keep: int | None, gone: set[int]
) -> None:
    assert expendable(numbers, keep) == gone


def test_a_stored_release_keeps_all_but_its_status() -> None:
    release = {"name": "demo", "info": {"status": "pending-install", "notes": "x"}, "manifest": "---\n"}
    secret = {
        "metadata": {
            "name": "s",
            "resourceVersion": "7",
            "labels": {"status": "pending-install", "owner": "helm"},
        },
        "data": {"release": storage.encode(release)},
        "type": "helm.sh/release.v1",
    }
    changed = storage.with_status(secret, "failed", "interrupted")
    assert changed["metadata"] == {
        "name": "s",
        "resourceVersion": "7",
        "labels": {"status": "failed", "owner": "helm"},
    }
    assert storage.decode(changed["data"]["release"]) == {
        "name": "demo",
        "info": {"status": "failed", "notes": "x", "description": "interrupted"},
        "manifest": "---\n",
    }
    assert storage.secret_name("demo", 3) == "sh.helm.release.v1.demo.v3"


def test_paths() -> None:
    assert DEPLOYMENT.path(None) == "/apis/apps/v1/deployments"
    expected = "/apis/stockpipeline.dev/v1alpha1/namespaces/desk/stockpipelines/demo/status"
    assert STOCK_PIPELINE.path("desk", "demo", "status") == expected


def test_topics_are_compared_by_name_and_partitions() -> None:
    found = compare_topics(("a", "b", "c"), 4, {"a": 4, "b": 2, "z": 4})
    assert found.missing == ("c",)
    assert found.mismatched == ("topic b has 2 partitions, but spec.kafka.partitions is 4",)


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_keeps_records_by_arrival(topic: Topic) -> None:
    config = topic_config(topic)
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert ("retention.ms" in config) is not topic.compacted


PART = Part(ObjectRef("Deployment", "demo-detector"), 1, "detector", ("producer",))


def deployment(generation: int, status: dict[str, int]) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": "detector"}
    return {
        "metadata": {"name": "demo-detector", "generation": generation, "labels": labels},
        "spec": {"replicas": 1},
        "status": status,
    }


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({}, False),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}, True),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2}, False),
    ],
    ids=["no status", "rolled out", "not seen", "not ready", "old pods", "old pods beside new"],
)
def test_a_deployment_is_done_when_its_newest_version_is_ready(status: dict[str, int], done: bool) -> None:
    assert workload(deployment(2, status), PART).done is done


def test_a_size_that_is_left_to_an_autoscaler_is_the_live_one() -> None:
    scaled = deployment(2, {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3})
    scaled["spec"]["replicas"] = 3
    found = workload(scaled, Part(PART.ref, None))
    assert (found.desired, found.done) == (3, True)


@pytest.mark.parametrize(
    ("seen", "reason", "since"),
    [
        (2, "ProgressDeadlineExceeded", "2026-01-01T00:05:00Z"),
        (2, "ReplicaSetUpdated", None),
        (1, "ProgressDeadlineExceeded", None),
    ],
    ids=["given up", "on its way", "of an earlier version"],
)
def test_kubernetes_says_when_it_gave_up(seen: int, reason: str, since: str | None) -> None:
    condition = {"type": "Progressing", "reason": reason, "lastUpdateTime": "2026-01-01T00:05:00Z"}
    found = workload(deployment(2, {"observedGeneration": seen, "conditions": [condition]}), PART)  # type: ignore[dict-item]
    assert found.stuck_since == since


def test_a_deployment_scaled_to_zero_by_hand_is_not_done() -> None:
    scaled = deployment(2, {"observedGeneration": 2})
    scaled["spec"]["replicas"] = 0
    found = workload(scaled, PART)
    assert (found.desired, found.ready, found.done) == (1, 0, False)


def pod(**status: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": "producer"}
    return {
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels},
        "status": status,
    }


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
RUNNING = {"name": "producer", "state": {"running": {}}}
PULLING = {"name": "producer", "image": "x:1", "state": {"waiting": {"reason": "ErrImagePull"}}}
NO_SECRET = {
    "name": "producer",
    "image": "x:1",
    "state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "token" not found'}},
}
CREATING = {"name": "producer", "state": {"waiting": {"reason": "ContainerCreating"}}}
CRASHING = {
    "name": "history",
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
    "lastState": {"terminated": {"exitCode": 3}},
}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pod(conditions=[UNSCHEDULED]), "cannot be scheduled: 0/1 nodes are available"),
        (
            pod(containerStatuses=[NO_SECRET]),
            'container producer waits: CreateContainerConfigError: secret "token" not found',
        ),
        (pod(containerStatuses=[PULLING]), "container producer waits: ErrImagePull of x:1"),
        (pod(initContainerStatuses=[CRASHING]), "container history waits: CrashLoopBackOff, exit code 3"),
        (pod(containerStatuses=[RUNNING]), "container producer runs but is not ready yet"),
        (pod(containerStatuses=[CREATING]), None),
        (pod(containerStatuses=[{**RUNNING, "ready": True}]), None),
    ],
)
def test_pods_say_what_keeps_them(found: dict[str, Any], expected: str | None) -> None:
    assert pod_troubles.describe([found]).get("producer") == expected


def test_a_pod_that_runs_says_itself_what_it_waits_for() -> None:
    running = pod(podIP="10.0.0.7", containerStatuses=[RUNNING])
    ready = pod(podIP="10.0.0.8", containerStatuses=[{**RUNNING, "ready": True}])
    ending = pod(podIP="10.0.0.9", containerStatuses=[RUNNING])
    ending["metadata"] |= {"name": "q", "deletionTimestamp": "2026-01-01T00:01:00Z"}
    starting = pod(containerStatuses=[RUNNING])
    assert pod_troubles.running([ready, ending, starting]) == {}
    assert pod_troubles.running([running]) == {"p": "10.0.0.7"}
    said = {"p": ("state: Redis cannot be reached", "kafka: away")}
    described = pod_troubles.describe([running], said)["producer"]
    assert described == "container producer is not ready: state: Redis cannot be reached; kafka: away"


def test_the_last_words_of_a_container_are_passed_on_without_its_log() -> None:
    message = '{"ts": "2026-11-23T09:00:00Z", "event": "x"}\nhistory: there are no bars of TSLA\n{"ts": 1}\n'
    ended = {"exitCode": 2, "reason": "Error", "message": message}
    waits = {**CRASHING, "lastState": {"terminated": ended}}
    described = pod_troubles.describe([pod(initContainerStatuses=[waits])])["producer"]
    expected = "waits: CrashLoopBackOff, exit code 2: history: there are no bars of TSLA"
    assert described == f"container history {expected}"
    just_ended = {"name": "history", "state": {"terminated": ended}}
    described = pod_troubles.describe([pod(initContainerStatuses=[just_ended])])["producer"]
    assert described.endswith("exit code 2 (Error): history: there are no bars of TSLA")


def test_problems_of_indicators_hide_those_of_rules() -> None:
    bad = StockPipelineSpec.model_validate(
        SPEC
        | {
            "indicators": [
                {"name": "a", "function": "RSII"},
                {"name": "b", "function": "SMA", "parameters": {"time": 1}},
            ],
            "rules": [{"name": "r", "side": "buy", "when": "a <"}],
        }
    )
    assert [problem.reason for problem in find_problems(bad)] == ["InvalidIndicator", "InvalidIndicator"]


def test_every_bad_rule_is_a_problem() -> None:
    bad = StockPipelineSpec.model_validate(
        SPEC
        | {
            "rules": [
                {"name": "one", "side": "buy", "when": "rsi14 <"},
                {"name": "two", "side": "buy", "when": "rsi15 < 30"},
                {"name": "fine", "side": "buy", "when": "rsi14 < 30"},
            ]
        }
    )
    problems = find_problems(bad)
    assert [problem.reason for problem in problems] == ["InvalidRule", "InvalidRule"]
    assert "'one'" in problems[0].message
    assert "rsi14" in problems[1].message, "the nearest name"


def test_the_echo_of_a_status_write_is_no_news() -> None:
    seen, key = Seen(), ("default", "demo")
    metadata = {"uid": "u", "generation": 1, "finalizers": []}
    assert seen.is_news(key, None, metadata)
    assert not seen.is_news(key, "MODIFIED", metadata | {"resourceVersion": "2"})
    assert seen.is_news(key, "MODIFIED", metadata | {"generation": 2})
    assert seen.is_news(key, "MODIFIED", metadata | {"generation": 2, "deletionTimestamp": "now"})
    assert seen.is_news(key, "DELETED", metadata)
    assert seen.is_news(key, "ADDED", metadata), "made anew"
