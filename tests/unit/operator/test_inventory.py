"""What was listed at a start serves the first looks, and never hides a change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stockpipeline_operator.helm.releases import field_manager
from stockpipeline_operator.kube.client import ApiUnreachable
from stockpipeline_operator.reconcile.inventory import Inventory
from stockpipeline_operator.reconcile.state import ObjectRef

Object = dict[str, Any]
KEY, OTHER = ("default", "demo"), ("default", "other")
DEPLOYMENTS = "/apis/apps/v1/deployments"
CONFIG_MAPS = "/api/v1/configmaps"
OURS = {"manager": field_manager(), "operation": "Apply", "fieldsV1": {"f:data": {}}}


def listed(name: str, pipeline: str, **parts: Any) -> Object:
    labels = {"stockpipeline.dev/pipeline": pipeline}
    theirs = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}
    metadata = {"namespace": "default", "name": name, "labels": labels, "managedFields": [OURS, theirs]}
    return {"metadata": metadata, **parts}


class Lists:
    """Answers lists, and lets something happen in between."""

    def __init__(self) -> None:
        self.content = {
            CONFIG_MAPS: [listed("demo-config", "demo"), listed("other-config", "other")],
            DEPLOYMENTS: [
                listed("demo-producer", "demo", spec={"replicas": 2, "template": {}}, status={"replicas": 1})
            ],
        }
        self.asked: list[tuple[str, bool]] = []
        self.meanwhile = lambda: None

    def list(self, path: str, selector: str, **options: Any) -> Iterator[Object]:
        assert selector.startswith("stockpipeline.dev/pipeline,"), "never what others own"
        self.asked.append((path, bool(options.get("metadata_only"))))
        self.meanwhile()
        return iter(json.loads(json.dumps(self.content.get(path, []))))


class Releases:
    def __init__(self) -> None:
        self.namespaces: list[str] = []

    def histories(self, namespace: str) -> dict[str, tuple[str, ...]]:
        self.namespaces.append(namespace)
        return {"demo": ("first", "second"), "somebody-elses": ("first",)}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
def releases() -> Releases:
    return Releases()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inventory(lists: Lists, releases: Releases, clock: Clock) -> Inventory:
    return Inventory(lists, releases, clock)  # type: ignore[arg-type]


def test_an_entry_has_what_a_look_needs_and_serves_once(inventory: Inventory) -> None:
    inventory.fill(())
    found = inventory.take(KEY)
    assert found is not None
    assert found.history == ("first", "second")
    assert found.get(ObjectRef("ConfigMap", "demo-config")) == {
        "metadata": {"name": "demo-config", "generation": None, "managedFields": [OURS]}
    }
    workload = found.get(ObjectRef("Deployment", "demo-producer"))
    assert workload is not None
    assert (workload["spec"], workload["status"]) == ({"replicas": 2}, {"replicas": 1})
    assert found.get(ObjectRef("ConfigMap", "other-config")) is None
    assert inventory.take(KEY) is None, "the next look asks for everything as it is then"


def test_only_workloads_are_listed_whole_and_secrets_only_where_pipelines_are(
    inventory: Inventory, lists: Lists, releases: Releases
) -> None:
    inventory.fill(())
    assert {path for path, metadata_only in lists.asked if not metadata_only} == {DEPLOYMENTS}
    assert releases.namespaces == ["default"]


def test_namespaces_are_listed_one_by_one(inventory: Inventory, lists: Lists) -> None:
    inventory.fill(("first", "second"))
    assert all("/namespaces/first/" in path or "/namespaces/second/" in path for path, _ in lists.asked)


def test_what_changed_is_looked_at_as_it_is(inventory: Inventory) -> None:
    inventory.fill(())
    inventory.forget(KEY)
    assert inventory.take(KEY) is None
    assert inventory.take(OTHER) is not None


def test_what_changed_while_it_was_listed_is_not_kept(inventory: Inventory, lists: Lists) -> None:
    lists.meanwhile = lambda: inventory.forget(KEY)
    inventory.fill(())
    assert inventory.take(KEY) is None
    assert inventory.take(OTHER) is not None


def test_what_is_old_is_not_used(inventory: Inventory, clock: Clock) -> None:
    inventory.fill(())
    clock.now = 301
    assert inventory.take(KEY) is None


def test_without_an_answer_it_is_empty(inventory: Inventory, lists: Lists) -> None:
    def away() -> None:
        raise ApiUnreachable(0, "the API server does not answer")

    lists.meanwhile = away
    inventory.fill(())
    assert inventory.take(KEY) is None
