"""`spec.mode: Plan`: what would change is shown, and made when its digest is approved."""

from __future__ import annotations

from typing import Any

from confluent_kafka.admin import AdminClient

from stockpipeline_operator.kube.resources import OWNED
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline


def objects(plan: dict[str, Any], action: str) -> set[tuple[str, str]]:
    return {(one["kind"], one["name"]) for one in plan["changes"] if one["action"] == action}


def test_nothing_is_made_before_its_plan_is_approved(
    cluster: Cluster, operator: Operator, kafka: str
) -> None:
    cluster.apply(pipeline("planned", mode="Plan"))
    message = cluster.has_reason("planned", "AwaitingApproval")
    plan = cluster.plan("planned")
    assert f"stockpipeline.dev/approve={plan['digest']}" in message
    assert plan["reason"] == "Mode"
    made = objects(plan, "Create")
    assert {("Deployment", "planned-producer"), ("Topic", "default.planned.ticks")} <= made
    assert cluster.condition("planned")[0] == "False"
    assert cluster.condition("planned", "Stalled")[0] == "True"
    assert cluster.releases("planned") == []
    assert all(cluster.owned(resource, "planned") == [] for resource in OWNED)
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert "default.planned.ticks" not in topics

    cluster.approve("planned", plan["digest"])
    cluster.settled("planned")
    assert cluster.releases("planned") == [(1, "deployed")]
    assert "plan" not in cluster.pipeline("planned")["status"]


def test_a_change_is_shown_field_by_field_and_another_change_is_another_plan(
    cluster: Cluster, operator: Operator
) -> None:
    cluster.apply(pipeline("drafted"))
    cluster.settled("drafted")

    cluster.edit("drafted", {"mode": "Plan", "universe": {"symbols": ["AAPL"]}})
    cluster.has_reason("drafted", "AwaitingApproval")
    first = cluster.plan("drafted")
    assert cluster.condition("drafted")[0] == "True", "what runs is ready"
    (config,) = [one for one in first["changes"] if one["kind"] == "ConfigMap"]
    assert config["fields"] == ["data[pipeline.json].spec.universe.symbols[1]"]
    restarted = {one["name"] for one in first["changes"] if one["restarts"]}
    assert restarted == {"drafted-producer", "drafted-detector"}
    assert "restarts drafted-detector, drafted-producer" in cluster.condition("drafted")[2]

    secret = {"name": "TOKEN", "value": "hunter2"}
    cluster.edit("drafted", {"detector": {"env": [secret]}})
    second = eventually(lambda: _other(cluster, "drafted", first["digest"]), "another plan")
    assert "hunter2" not in str(cluster.pipeline("drafted")["status"])

    cluster.approve("drafted", first["digest"])
    cluster.has_reason("drafted", "AwaitingApproval")
    assert cluster.releases("drafted") == [(1, "deployed")], "an approval is for one plan"

    cluster.approve("drafted", second["digest"])
    cluster.settled("drafted")
    assert cluster.releases("drafted") == [(1, "superseded"), (2, "deployed")]


def test_going_back_to_what_runs_leaves_nothing_to_approve(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("undone"))
    cluster.settled("undone")
    cluster.edit("undone", {"mode": "Plan", "suspend": True})
    cluster.has_reason("undone", "AwaitingApproval")
    cluster.edit("undone", {"suspend": False})
    cluster.has_reason("undone", "Running")
    assert "plan" not in cluster.pipeline("undone")["status"]


def _other(cluster: Cluster, name: str, digest: str) -> dict[str, Any] | None:
    plan = cluster.plan(name)
    return plan if plan["digest"] != digest else None
