"""An operator that serves a list of namespaces, with rights in those only."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockpipeline_operator.kube.resources import DEPLOYMENT
from tests.integration.operator.harness import Cluster, Operator, eventually, install_rights, pipeline


@pytest.fixture
def limited(cluster: Cluster, the_operator: Operator, kafka: str, redis: str, tmp_path: Path) -> Operator:
    """An operator for the namespace "desk" alone; the one for all namespaces is stopped."""
    the_operator.kill()
    for name in ("desk", "elsewhere"):
        if cluster.client.get(f"/api/v1/namespaces/{name}") is None:
            cluster.server.kubectl("create", "namespace", name)
    kubeconfig = install_rights(cluster, tmp_path, "limited", ["desk"])
    return Operator(kubeconfig, tmp_path, kafka, redis, namespaces="desk")


def test_it_serves_its_namespaces_and_no_others(cluster: Cluster, limited: Operator) -> None:
    cluster.apply(pipeline("ours", namespace="desk"))
    cluster.apply(pipeline("theirs", namespace="elsewhere"))
    limited.start()
    try:
        cluster.settled("ours", namespace="desk")
        # Found by the watch, long before the next resync.
        cluster.server.kubectl("delete", "deployment", "ours-detector", "--namespace", "desk")
        eventually(
            lambda: cluster.get(DEPLOYMENT, "ours-detector", "desk"),
            "the Deployment to come back",
            seconds=15,
        )
        cluster.delete("ours", namespace="desk")
    finally:
        limited.stop()
    assert "status" not in cluster.pipeline("theirs", "elsewhere")
    assert "finalizers" not in cluster.pipeline("theirs", "elsewhere")["metadata"]


def test_two_installations_work_side_by_side(
    cluster: Cluster, limited: Operator, kafka: str, redis: str, tmp_path: Path
) -> None:
    kubeconfig = install_rights(cluster, tmp_path, "another", ["elsewhere"])
    another = Operator(kubeconfig, tmp_path, kafka, redis, namespaces="elsewhere", instance="another")
    for namespace in ("desk", "elsewhere"):
        cluster.apply(pipeline("beside", namespace=namespace))
    limited.start()
    another.start()
    try:
        for namespace in ("desk", "elsewhere"):
            cluster.settled("beside", namespace=namespace)
        assert (cluster.leader("limited"), cluster.leader("another")) == ("operator", "another")
    finally:
        limited.stop()
        another.stop()


def test_rights_that_go_before_the_pipeline_do_not_hold_its_deletion(
    cluster: Cluster, limited: Operator
) -> None:
    cluster.apply(pipeline("bereft", namespace="desk"))
    limited.start()
    try:
        cluster.settled("bereft", namespace="desk")
        # As in a namespace that is being deleted, where the Role goes at any time.
        cluster.server.kubectl("delete", "rolebinding", "limited", "--namespace", "desk")
        cluster.delete("bereft", namespace="desk")
    finally:
        limited.stop()
