"""Whatever somebody edits or deletes of a pipeline's objects is put right at once, and told."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stockpipeline.api import PIPELINE_LABEL
from stockpipeline_operator.kube.client import Object
from stockpipeline_operator.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    NETWORK_POLICY,
    SERVICE_ACCOUNT,
    STOCK_PIPELINE,
    ResourceType,
)
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline

CONTAINER = "spec.template.spec.containers[name=detector]"


def corrections(cluster: Cluster, name: str) -> list[str]:
    return [note for reason, note in cluster.events(name) if reason == "DriftCorrected"]


def patched(cluster: Cluster, resource: ResourceType, name: str, patch: Any, kind: str = "merge") -> None:
    cluster.server.kubectl("patch", resource.plural, name, f"--type={kind}", f"--patch={json.dumps(patch)}")


def in_container(change: Object) -> Object:
    """A strategic patch of the detector's container."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "detector", **change}]}}}}


EDITS: list[tuple[ResourceType, str, Any, str, str]] = [
    (DEPLOYMENT, "-detector", {"spec": {"replicas": 3}}, "merge", "spec.replicas"),
    (DEPLOYMENT, "-detector", in_container({"image": "other:1"}), "strategic", f"{CONTAINER}.image"),
    (DEPLOYMENT, "-detector", in_container({"env": None}), "strategic", f"{CONTAINER}.env"),
    (
        DEPLOYMENT,
        "-detector",
        in_container({"resources": {"limits": {"memory": "1Gi"}}}),
        "strategic",
        f"{CONTAINER}.resources.limits.memory",
    ),
    (CONFIG_MAP, "-config", {"data": {"pipeline.json": "{}"}}, "merge", "data"),
    # The label by which it is found.
    (CONFIG_MAP, "-config", {"metadata": {"labels": {PIPELINE_LABEL: None}}}, "merge", "metadata.labels"),
    (CONFIG_MAP, "-config", {"metadata": {"ownerReferences": []}}, "merge", "metadata.ownerReferences"),
    (NETWORK_POLICY, "", {"spec": {"ingress": []}}, "merge", "spec.ingress"),
    (SERVICE_ACCOUNT, "", {"automountServiceAccountToken": True}, "merge", "automountServiceAccountToken"),
]


@pytest.mark.parametrize(("resource", "suffix", "patch", "kind", "field"), EDITS, ids=[e[4] for e in EDITS])
def test_an_edited_field_is_put_right(
    cluster: Cluster,
    operator: Operator,
    resource: ResourceType,
    suffix: str,
    patch: Any,
    kind: str,
    field: str,
) -> None:
    name = "edited-objects"
    cluster.apply(pipeline(name))
    if cluster.releases(name) == []:
        cluster.settled(name)
    cluster.rolled_out(name)
    cluster.has_reason(name, "Running")

    def content() -> Object:
        found = cluster.get(resource, name + suffix)
        assert found is not None
        metadata = found["metadata"]
        return {
            **{key: value for key, value in found.items() if key not in ("metadata", "status")},
            **{key: metadata.get(key) for key in ("labels", "annotations", "ownerReferences")},
        }

    before, told = content(), len(corrections(cluster, name))
    patched(cluster, resource, name + suffix, patch, kind)
    began = time.monotonic()

    def put_right() -> bool:
        assert content() == before
        return True

    eventually(put_right, f"{field} to come back", seconds=15)
    assert time.monotonic() - began < 10, "by the watch, long before the next resync"
    eventually(lambda: len(corrections(cluster, name)) > told, "an event")
    note = corrections(cluster, name)[-1]
    assert note.startswith(f"{resource.kind} {name + suffix} {field}")
    eventually(lambda: note in cluster.condition(name, "Drifted")[2], "the condition")
    assert cluster.condition(name, "Drifted")[:2] == ("False", "Corrected")
    assert cluster.releases(name) == [(1, "deployed")], "put right from the revision that is deployed"


def test_what_others_add_is_left_alone(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("shared"))
    cluster.settled("shared")
    version = cluster.pipeline("shared")["metadata"]["resourceVersion"]
    annotation = {"metadata": {"annotations": {"example.com/team": "desk"}, "labels": {"example.com/x": "y"}}}
    for suffix in ("-producer", "-detector"):
        patched(cluster, DEPLOYMENT, f"shared{suffix}", annotation)
    patched(cluster, CONFIG_MAP, "shared-config", {"data": {"notes.txt": "hello"}})

    # An edit that is put right shows that all before it has been looked at.
    patched(cluster, DEPLOYMENT, "shared-producer", {"spec": {"replicas": 2}})
    eventually(lambda: corrections(cluster, "shared"), "the correction")
    for suffix in ("-producer", "-detector"):
        found = cluster.get(DEPLOYMENT, f"shared{suffix}")
        assert found is not None
        assert found["metadata"]["annotations"]["example.com/team"] == "desk"
        assert found["metadata"]["labels"]["example.com/x"] == "y"
    config = cluster.get(CONFIG_MAP, "shared-config")
    assert config is not None
    assert config["data"]["notes.txt"] == "hello"
    assert len(corrections(cluster, "shared")) == 1
    assert cluster.pipeline("shared")["metadata"]["resourceVersion"] != version


def test_a_fight_slows_down_and_says_so(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("contested"))
    cluster.settled("contested")
    before = operator.metric("stockpipeline_operator_drift_corrections_total")

    def scaled(replicas: int) -> bool:
        found = cluster.get(DEPLOYMENT, "contested-producer")
        assert found is not None
        return int(found["spec"]["replicas"]) == replicas

    for _ in range(3):
        cluster.server.kubectl("scale", "deployment/contested-producer", "--replicas=5")
        eventually(lambda: scaled(1), "the replicas to come back")
    cluster.server.kubectl("scale", "deployment/contested-producer", "--replicas=5")

    def told() -> str:
        status, reason, message = cluster.condition("contested", "Drifted")
        assert (status, reason) == ("True", "Contested")
        return message

    message = eventually(told, "the fight to be told")
    assert "Deployment contested-producer spec.replicas: changed by kubectl" in message
    assert "after 3 corrections" in message
    # Nobody scales any more: the wait ends, and so does the fight.
    eventually(lambda: scaled(1), "the last correction")
    cluster.rolled_out("contested")
    cluster.has_reason("contested", "Running")
    assert cluster.condition("contested", "Drifted")[:2] == ("False", "Corrected")
    after = operator.metric("stockpipeline_operator_drift_corrections_total")
    assert after - before == 4


def test_a_cleared_list_of_owners_is_made_anew_without_a_report(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("unowned"))
    cluster.settled("unowned")
    patched(cluster, CONFIG_MAP, "unowned-config", {"metadata": {"managedFields": [{}]}})

    def owned_again() -> bool:
        found = cluster.get(CONFIG_MAP, "unowned-config")
        assert found is not None
        return any(one["operation"] == "Apply" for one in found["metadata"].get("managedFields", []))

    eventually(owned_again, "the fields to be owned again", seconds=15)


def test_an_edit_made_while_no_operator_ran_is_put_right(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("behind"))
    cluster.settled("behind")
    operator.kill()
    patched(cluster, CONFIG_MAP, "behind-config", {"data": {"pipeline.json": "{}"}})
    cluster.server.kubectl("delete", "serviceaccount", "behind")
    cluster.edit("behind", {"universe": {"symbols": ["MSFT"]}})
    operator.start()

    cluster.settled("behind")
    assert cluster.config("behind")["spec"]["universe"]["symbols"] == ["MSFT"]
    assert cluster.get(SERVICE_ACCOUNT, "behind") is not None
    assert cluster.releases("behind") == [(1, "superseded"), (2, "deployed")]
    assert cluster.get(STOCK_PIPELINE, "behind") is not None
