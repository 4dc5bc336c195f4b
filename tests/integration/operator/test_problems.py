"""What goes wrong is said in words, and heals when its cause is gone."""

from __future__ import annotations

import helm_python
import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.operator.harness import REPO, Cluster, Operator, eventually, pipeline
from tests.ports import free_port

BROKEN = [{"name": "rsi14", "function": "RSII", "parameters": {"timeperiod": 14}}]
FIXED = [{"name": "rsi14", "function": "RSI", "parameters": {"timeperiod": 14}}]
RULES = [{"name": "oversold", "side": "buy", "when": "rsi14 < 30"}]


def test_an_unknown_indicator_stalls_and_its_correction_recovers(
    cluster: Cluster, operator: Operator
) -> None:
    cluster.apply(pipeline("typo", indicators=BROKEN, rules=RULES))
    message = cluster.has_reason("typo", "InvalidIndicator")
    assert "RSII" in message
    assert "did you mean RSI" in message
    assert cluster.condition("typo", "Stalled")[0] == "True"
    assert cluster.condition("typo", "Reconciling")[0] == "False"
    assert cluster.releases("typo") == []
    assert "finalizers" not in cluster.pipeline("typo")["metadata"], (
        "nothing was made, so nothing is held back"
    )

    cluster.edit("typo", {"indicators": FIXED})
    cluster.settled("typo")
    assert cluster.condition("typo", "Stalled")[0] == "False"


def test_a_rule_that_does_not_parse_keeps_what_runs(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("kept", indicators=FIXED, rules=RULES))
    cluster.settled("kept")

    cluster.edit("kept", {"rules": [{"name": "oversold", "side": "buy", "when": "rsi14 < < 30"}]})
    message = cluster.has_reason("kept", "InvalidRule")
    assert "rule 'oversold', when" in message
    assert "column" in message
    assert "revision 1, made from an earlier spec, is kept" in message
    assert cluster.releases("kept") == [(1, "deployed")]

    cluster.edit("kept", {"rules": RULES})
    cluster.has_reason("kept", "Running")
    assert cluster.releases("kept") == [(1, "deployed")], "the spec is the first one again"


def test_an_unreachable_kafka_is_named(cluster: Cluster, operator: Operator, kafka: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    cluster.apply(pipeline("lost", kafka={"bootstrapServers": address}))
    assert address in cluster.has_reason("lost", "Blocked")
    assert cluster.releases("lost") == [], "no workload starts without its topics"

    cluster.edit("lost", {"kafka": {"bootstrapServers": kafka}})
    cluster.settled("lost")


def test_topics_of_an_earlier_pipeline_with_other_partitions_are_reported(
    cluster: Cluster, operator: Operator, kafka: str
) -> None:
    first = pipeline("reborn", kafka={"partitions": 2})
    cluster.apply(first)
    cluster.settled("reborn")
    # As if the operator had been uninstalled: resource and release go, the topics stay.
    operator.kill()
    cluster.server.kubectl("delete", "stockpipeline", "reborn", "--wait=false")
    cluster.server.kubectl(
        "patch", "stockpipeline", "reborn", "--type=merge", '-p={"metadata":{"finalizers":[]}}'
    )
    with helm_python.Config(kubeconfig_path=cluster.server.kubeconfig, namespace="default") as config:
        config.uninstall("reborn")
    cluster.apply(pipeline("reborn", kafka={"partitions": 3}))
    operator.start()

    message = cluster.has_reason("reborn", "TopicMismatch")
    assert "topic default.reborn.ticks has 2 partitions, but spec.kafka.partitions is 3" in message
    # It made nothing, so its deletion takes nothing of the earlier pipeline with it.
    assert "finalizers" not in cluster.pipeline("reborn")["metadata"]
    cluster.delete("reborn")
    assert "default.reborn.ticks" in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics


def test_a_release_of_the_same_name_that_is_not_ours_is_left_alone(
    cluster: Cluster, operator: Operator
) -> None:
    values = {
        "config": "{}",
        "owner": {"name": "taken", "uid": "1"},
        "image": {"repository": "mine", "tag": "1"},
    }
    chart = helm_python.Chart.load(REPO / "charts" / "stockpipeline")
    with helm_python.Config(kubeconfig_path=cluster.server.kubeconfig, namespace="default") as config:
        config.install(chart, "taken", values)
        cluster.apply(pipeline("taken"))
        cluster.has_reason("taken", "ReleaseNameTaken")
        cluster.delete("taken")
        assert cluster.releases("taken") == [(1, "deployed")]

        config.uninstall("taken")
        cluster.apply(pipeline("taken"))
        cluster.settled("taken")


@pytest.mark.parametrize("example", ["replay", "second"])
def test_the_examples_work(cluster: Cluster, operator: Operator, example: str) -> None:
    name = {"replay": "demo", "second": "second"}[example]
    cluster.server.kubectl("apply", "--filename", str(REPO / "examples" / f"{example}.yaml"))
    cluster.settled(name)


def test_the_broken_example_says_what_is_wrong(cluster: Cluster, operator: Operator) -> None:
    cluster.server.kubectl("apply", "--filename", str(REPO / "examples" / "broken-indicator.yaml"))
    assert "did you mean RSI" in cluster.has_reason("broken", "InvalidIndicator")
    eventually(lambda: cluster.events("broken"), "an event")
    assert [reason for reason, _ in cluster.events("broken")] == ["InvalidIndicator"]
