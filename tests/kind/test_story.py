"""From `make up CLUSTER=kind` to live signals, on a cluster of two nodes."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request

import pytest

from cluster.deploy import BACKENDS_NAMESPACE, EXAMPLE, EXAMPLE_KEY
from cluster.settings import REPO
from cluster.shell import run, wait_until
from tests.kind.conftest import Machine

NAMESPACE, PIPELINE = EXAMPLE_KEY
NODES = {"stockpipeline-kind-control-plane", "stockpipeline-kind-worker"}
READY_TIMEOUT = 180.0
KAFKA_DATA = "/var/lib/kafka/data"
COMPONENTS = {"operator", "producer", "detector", "kafka", "redis", "prometheus", "alertmanager"}


@pytest.fixture(scope="module")
def up(machine: Machine) -> str:
    """What the first `make up` prints; it only ends well once there is a signal."""
    return machine.make("up")


@pytest.fixture(scope="module")
def live(up: str, machine: Machine) -> Machine:
    """The machine with the product on it."""
    return machine


def query(machine: Machine, expression: str) -> list[dict[str, str]]:
    """Run an instant query at the port that kind publishes; return the labels of the series."""
    url = f"http://127.0.0.1:{machine.settings.prometheus_port}/api/v1/query"
    with urllib.request.urlopen(
        f"{url}?{urllib.parse.urlencode({'query': expression})}", timeout=10
    ) as answer:
        return [series["metric"] for series in json.load(answer)["data"]["result"]]


def ready_nodes(machine: Machine) -> set[str]:
    listed = json.loads(machine.kubectl("get", "nodes", "--output", "json"))["items"]
    return {
        node["metadata"]["name"]
        for node in listed
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready" and condition["status"] == "True"
    }


def is_ready(machine: Machine) -> bool:
    said = machine.kubectl(
        "get", "stockpipeline", PIPELINE, "--namespace", NAMESPACE,
        "--output", "jsonpath={.status.conditions[?(@.type=='Ready')].status}",
    )  # fmt: skip
    return said == "True"


def test_both_nodes_are_ready(live: Machine) -> None:
    assert ready_nodes(live) == NODES


def test_up_ends_with_the_pipeline_ready_and_its_signals(up: str) -> None:
    assert re.search(rf"^{NAMESPACE}/{PIPELINE} +yes ", up, re.MULTILINE), up
    assert f"Last signals of {NAMESPACE}/{PIPELINE}:" in up


def test_every_node_has_the_images(live: Machine) -> None:
    mine = {image for image in live.cluster.images() if image.startswith("localhost/stockpipeline/")}
    names = {image.rpartition(":")[0].rpartition("/")[2] for image in mine}
    assert names == {"operator", "services", "kafka", "redis", "prometheus"}


def test_volumes_are_bound_by_the_default_storage_class(live: Machine) -> None:
    claims = json.loads(live.kubectl("get", "pvc", "--all-namespaces", "--output", "json"))["items"]
    assert claims
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}


def test_prometheus_sees_every_component_through_the_port_mapping(live: Machine) -> None:
    def seen() -> bool:
        return {series.get("component") for series in query(live, "up == 1")} >= COMPONENTS

    wait_until(seen, 60, f"Prometheus scrapes {sorted(COMPONENTS)}")


def test_second_up_changes_nothing(live: Machine) -> None:
    before = live.kubectl("get", "pods", "--all-namespaces", "--output", "jsonpath={.items[*].metadata.uid}")
    live.make("up")
    after = live.kubectl("get", "pods", "--all-namespaces", "--output", "jsonpath={.items[*].metadata.uid}")
    assert after == before


def test_up_heals_a_cluster_whose_nodes_were_stopped(live: Machine) -> None:
    run(["docker", "stop", *NODES], timeout=120)
    assert not live.cluster.running()
    live.make("up")
    wait_until(lambda: ready_nodes(live) == NODES, READY_TIMEOUT, "both nodes are Ready again")
    wait_until(lambda: is_ready(live), READY_TIMEOUT, f"{NAMESPACE}/{PIPELINE} is Ready again")


def test_delete_leaves_nothing_of_the_pipeline(live: Machine) -> None:
    live.kubectl("delete", "--filename", str(REPO / EXAMPLE), "--timeout=120s")
    for kinds, selector in (
        ("deployments,services,configmaps,serviceaccounts", f"stockpipeline.dev/pipeline={PIPELINE}"),
        ("secrets", f"owner=helm,name={PIPELINE}"),
    ):
        found = live.kubectl("get", kinds, "-n", NAMESPACE, "--selector", selector, "--output", "name")
        assert found == ""
    key = f"{NAMESPACE}.{PIPELINE}"
    assert in_backend(live, "redis-0", "redis-cli", "--scan", "--pattern", f"{key}:*") == []
    # Kafka renames the folder of a topic's partition at once and removes it a minute later.
    folders = in_backend(live, "kafka-0", "ls", KAFKA_DATA)
    assert [one for one in folders if one.startswith(key) and not one.endswith("-delete")] == []


def in_backend(machine: Machine, pod: str, *command: str) -> list[str]:
    return machine.kubectl("exec", "-n", BACKENDS_NAMESPACE, pod, "--", *command).split()
