"""What a StockPipeline becomes, and what its status says."""

from __future__ import annotations

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from stockpipeline.api import Topic
from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline


def test_a_pipeline_becomes_a_release_with_topics(cluster: Cluster, operator: Operator, kafka: str) -> None:
    cluster.apply(pipeline("made", kafka={"partitions": 2}))

    message = cluster.has_reason("made", "WorkloadsStarting")
    assert message == "producer 0/1 ready; detector 0/1 ready"
    assert cluster.condition("made", "Reconciling")[0] == "True"
    assert cluster.releases("made") == [(1, "deployed")]
    assert cluster.config("made")["spec"]["kafka"]["bootstrapServers"] == kafka
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert {name: len(topics[f"default.made.{name}"].partitions) for name in Topic} == dict.fromkeys(Topic, 2)

    cluster.rolled_out("made")
    cluster.has_reason("made", "Running")
    status = cluster.pipeline("made")["status"]
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Drifted": "False",
        "UpgradeAvailable": "False",
    }
    assert status["components"] == [
        {"name": "detector", "kind": "Deployment", "ready": 1, "desired": 1},
        {"name": "producer", "kind": "Deployment", "ready": 1, "desired": 1},
    ]
    assert status["symbols"] == 2
    assert status["release"]["revision"] == 1
    columns = cluster.server.kubectl("get", "spl", "made").splitlines()
    assert columns[0].split() == ["NAME", "READY", "STATUS", "MODE", "SYMBOLS", "TICKS/S", "FRESH", "AGE"]
    assert columns[1].split()[:5] == ["made", "True", "Running", "Apply", "2"]
    reasons = [reason for reason, _ in cluster.events("made")]
    assert reasons == ["TopicsCreated", "Installed", "WorkloadsStarting", "Running"]


def test_topics_are_configured_for_what_they_hold(cluster: Cluster, operator: Operator, kafka: str) -> None:
    cluster.apply(pipeline("configured"))
    cluster.has_reason("configured", "WorkloadsStarting")

    admin = AdminClient({"bootstrap.servers": kafka})
    asked = {topic: ConfigResource(ResourceType.TOPIC, f"default.configured.{topic}") for topic in Topic}
    answers = admin.describe_configs(list(asked.values()))
    policies = {topic: answers[one].result(10)["cleanup.policy"].value for topic, one in asked.items()}
    times = {answers[one].result(10)["message.timestamp.type"].value for one in asked.values()}
    assert policies == {
        Topic.TICKS: "delete",
        Topic.SIGNALS: "delete",
        Topic.PERFORMANCE: "compact",
        Topic.STATE: "compact",
        Topic.DEAD_LETTER: "delete",
    }
    assert times == {"LogAppendTime"}


def test_an_edit_of_the_spec_makes_a_new_revision_and_nothing_else_does(
    cluster: Cluster, operator: Operator
) -> None:
    cluster.apply(pipeline("edited"))
    cluster.settled("edited")

    cluster.edit("edited", {"universe": {"symbols": ["AAPL", "IBM", "MSFT"]}})
    cluster.settled("edited")
    assert cluster.releases("edited") == [(1, "superseded"), (2, "deployed")]
    assert cluster.config("edited")["spec"]["universe"]["symbols"] == ["AAPL", "IBM", "MSFT"]

    # An annotation is no change of the spec; a restarted operator looks at everything anew.
    version = cluster.client.merge(
        STOCK_PIPELINE.path("default", "edited"), {"metadata": {"annotations": {"note": "hello"}}}
    )["metadata"]["resourceVersion"]
    operator.kill()
    operator.start()
    eventually(lambda: operator.has_looked_at(cluster.known_pipelines()), "a pass over every pipeline")
    assert cluster.releases("edited")[-1] == (2, "deployed")
    assert cluster.pipeline("edited")["metadata"]["resourceVersion"] == version, "nothing was written"


def test_suspend_stops_the_workloads_and_keeps_the_rest(
    cluster: Cluster, operator: Operator, kafka: str
) -> None:
    cluster.apply(pipeline("paused"))
    cluster.settled("paused")

    cluster.edit("paused", {"suspend": True})
    cluster.has_reason("paused", "Suspended")
    assert [one["spec"]["replicas"] for one in cluster.owned(DEPLOYMENT, "paused")] == [0, 0]
    assert "default.paused.state" in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics

    cluster.edit("paused", {"suspend": False})
    cluster.settled("paused")
    assert [one["spec"]["replicas"] for one in cluster.owned(DEPLOYMENT, "paused")] == [1, 1]


def test_health_and_metrics(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("measured"))
    cluster.settled("measured")

    assert operator.read("/healthz")[0] == 200
    assert operator.read("/readyz")[0] == 200
    installs = '{operation="install",result="success"}'
    assert operator.metric("stockpipeline_operator_helm_operations_total", installs) >= 1
    assert operator.metric("stockpipeline_operator_reconcile_duration_seconds_count") >= 1
    eventually(
        lambda: operator.metric("stockpipeline_operator_pipelines", '{condition="Ready",status="True"}') >= 1,
        "the gauge of pipelines",
    )
