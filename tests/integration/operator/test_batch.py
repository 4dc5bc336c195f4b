"""A pipeline's nightly batch: what Airflow is given, which rights, and what is told of its runs."""

from __future__ import annotations

import json
from typing import Any

from cluster.shell import CommandError
from stockpipeline_operator.kube.resources import CONFIG_MAP, ROLE, ROLE_BINDING, VOLUME_CLAIM
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline

AIRFLOW = "system:serviceaccount:stockpipeline-backends:airflow"
PARTS: dict[str, Any] = {
    "sources": [{"name": "yahoo", "yahoo": {}}],
    "store": {"size": "1Gi"},
    "replicaSync": {},
    "batch": {"schedule": {"start": "2020-01-02"}, "size": "1Gi"},
}


def may(cluster: Cluster, verb: str, resource: str, *words: str) -> bool:
    """Whether Airflow may do something in the pipeline's namespace."""
    asked = ("auth", "can-i", verb, resource, *words, "--namespace", "default", "--as", AIRFLOW)
    try:
        return cluster.server.kubectl(*asked).strip() == "yes"
    except CommandError:  # kubectl's way to say no
        return False


def record(cluster: Cluster, name: str, **entries: Any) -> None:
    """Write down what Airflow's tasks write down."""
    data = {key: value if key == "newest" else json.dumps(value) for key, value in entries.items()}
    cluster.client.merge(CONFIG_MAP.path("default", f"{name}-batch-run"), {"data": data})


def told(cluster: Cluster, name: str, reason: str) -> tuple[str, str]:
    """Wait until BatchSucceeded has a reason; return its status and message."""

    def look() -> tuple[str, str]:
        status, found, message = cluster.condition(name, "BatchSucceeded")
        assert found == reason, (found, message)
        return status, message

    return eventually(look, f"BatchSucceeded with the reason {reason}")


def test_a_batch_comes_is_followed_and_goes(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("nightly", **PARTS))
    cluster.settled("nightly")
    made = cluster.get(CONFIG_MAP, "nightly-batch")
    assert made is not None
    batch = json.loads(made["data"]["batch.json"])
    assert (batch["name"], batch["start"], batch["suspend"]) == ("nightly", "2020-01-02", False)
    assert json.loads(made["data"]["pipeline.json"])["spec"]["batch"]["historyYears"] == 5
    claim = cluster.get(VOLUME_CLAIM, "nightly-batch")
    assert claim is not None
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"

    # Airflow may run the steps and write down how they went, and nothing else.
    assert may(cluster, "create", "jobs.batch")
    assert may(cluster, "get", "pods", "--subresource=log")
    assert may(cluster, "get", "configmaps/nightly-batch")
    assert may(cluster, "patch", "configmaps/nightly-batch-run")
    assert not may(cluster, "patch", "configmaps/nightly-batch")
    assert not may(cluster, "get", "configmaps/nightly-config")
    assert not may(cluster, "get", "secrets")
    assert not may(cluster, "create", "pods")

    assert told(cluster, "nightly", "NotRunYet")[0] == "Unknown"
    ended = {"run": "a", "session": "2020-01-02", "at": "2020-01-02T23:10:00+00:00"}
    failed = {**ended, "ok": False, "task": "coverage_gate", "error": "CoverageTooLow", "message": "9 of 10"}
    record(cluster, "nightly", last=failed)
    status, message = told(cluster, "nightly", "CoverageTooLow")
    assert (status, "session 2020-01-02: coverage_gate: 9 of 10" in message) == ("False", True)
    of_it = 'pipeline="nightly",pipeline_namespace="default"'
    failure = f'{{error="CoverageTooLow",{of_it},step="coverage_gate"}}'
    assert operator.metric("stockpipeline_batch_failure", failure) == 1
    record(cluster, "nightly", last={**ended, "ok": True}, newest="2099-01-02")
    assert told(cluster, "nightly", "Succeeded")[0] == "True"
    assert "stockpipeline_batch_failure{" not in operator.read("/metrics")[1]

    cluster.edit("nightly", {"suspend": True})

    def suspended() -> bool:
        found = cluster.get(CONFIG_MAP, "nightly-batch")
        return found is not None and json.loads(found["data"]["batch.json"])["suspend"] is True

    eventually(suspended, "Airflow is told of the suspension")
    assert told(cluster, "nightly", "Succeeded")[0] == "True", "what was written down stays"

    cluster.edit("nightly", {"batch": None, "suspend": False})
    for resource, name in (
        (CONFIG_MAP, "nightly-batch"),
        (CONFIG_MAP, "nightly-batch-run"),
        (VOLUME_CLAIM, "nightly-batch"),
        (ROLE, "nightly-batch"),
        (ROLE_BINDING, "nightly-batch"),
    ):
        eventually(lambda at=resource, of=name: gone(cluster, at, of), f"{resource.kind} {name} is gone")

    def without() -> bool:
        conditions = cluster.pipeline("nightly")["status"]["conditions"]
        return "BatchSucceeded" not in {one["type"] for one in conditions}

    eventually(without, "nothing is told of a batch")
    assert "stockpipeline_batch_ended_seconds{" not in operator.read("/metrics")[1]
    cluster.delete("nightly")


def gone(cluster: Cluster, resource: Any, name: str) -> bool:
    """Whether an object is gone, or only held by a controller that these tests do not run."""
    found = cluster.get(resource, name)
    return found is None or "deletionTimestamp" in found["metadata"]


def test_a_batch_that_has_nothing_to_work_on_is_refused(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("aimless", batch={}))
    assert "store: {}" in cluster.has_reason("aimless", "InvalidSpec")
    cluster.edit("aimless", {"store": {}, "replicaSync": {}})

    def says_so() -> bool:
        return "only sources of the kind yahoo" in cluster.condition("aimless")[2]

    eventually(says_so, "the missing source is named")
    cluster.delete("aimless")
