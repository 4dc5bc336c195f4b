"""Uninstalling the operator's chart deletes no pipeline, and holds none."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import helm_python
import pytest
import yaml

from stockpipeline.api import FINALIZER
from stockpipeline_operator.kube.credentials import connection
from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE
from tests.integration.api_server import api_server
from tests.integration.operator.harness import (
    OPERATOR_NAMESPACE,
    PROGRAM,
    REPO,
    Cluster,
    eventually,
    pipeline,
)

NAME = "stockpipeline-operator"
JOB = f"/apis/batch/v1/namespaces/{OPERATOR_NAMESPACE}/jobs/{NAME}-uninstall"
VALUES = {"image": {"tag": "test"}, "services": {"image": {"tag": "test"}}}


@pytest.fixture
def empty_cluster() -> Iterator[Cluster]:
    """An API server of its own: another has the definition of StockPipeline, which is no release's there."""
    with api_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(server.kubeconfig))
        yield Cluster(server, connection())


def run_job(cluster: Cluster, directory: Path) -> str:
    """Do what the cluster does with the Job: run its container with the rights of its service account."""
    job = eventually(lambda: cluster.client.get(JOB), "the Job of the uninstallation")
    pod = job["spec"]["template"]["spec"]
    account = pod["serviceAccountName"]
    token = cluster.server.kubectl("create", "token", account, "--namespace", OPERATOR_NAMESPACE).strip()
    config = yaml.safe_load(cluster.server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    (container,) = pod["containers"]
    environment = {one["name"]: one.get("value", "") for one in container["env"]}
    environment |= {
        "KUBECONFIG": str(kubeconfig),
        "STOCKPIPELINE_OPERATOR_CHART": str(REPO / "charts/stockpipeline"),
    }
    variables = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *variables, str(PROGRAM), *container["args"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    condition = {"type": "Complete", "status": "True"}
    ready = {"type": "SuccessCriteriaMet", "status": "True"}
    times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z"}
    status = {"conditions": [ready, condition], "succeeded": 1, **times}
    cluster.client.merge(f"{JOB}/status", {"status": status})
    return done.stdout


def test_pipelines_outlive_the_operator_and_can_be_deleted_without_it(
    empty_cluster: Cluster, tmp_path: Path
) -> None:
    cluster = empty_cluster
    cluster.server.kubectl("create", "namespace", OPERATOR_NAMESPACE)
    chart = helm_python.Chart.load(REPO / "charts" / "stockpipeline-operator")
    with helm_python.Config(kubeconfig_path=cluster.server.kubeconfig, namespace=OPERATOR_NAMESPACE) as helm:
        helm.install(chart, NAME, VALUES)
        cluster.server.kubectl("wait", "--for=condition=Established", "crd/stockpipelines.stockpipeline.dev")
        for name in ("kept", "leaving"):
            resource = pipeline(name)
            # As the operator leaves them: held, and one that is being deleted while nobody looks.
            resource["metadata"]["finalizers"] = [FINALIZER, "example.com/other"]
            cluster.client.create(STOCK_PIPELINE.path("default"), resource)
        cluster.server.kubectl("delete", "stockpipeline", "leaving", "--wait=false")

        uninstalling = threading.Thread(target=helm.uninstall, args=(NAME,), kwargs={"timeout": 120})
        uninstalling.start()
        log = run_job(cluster, tmp_path)
        uninstalling.join(120)
        assert not uninstalling.is_alive()
    assert {json.loads(line)["pipeline"] for line in log.splitlines() if "let go" in line} == {
        "kept",
        "leaving",
    }
    for name in ("kept", "leaving"):
        assert cluster.pipeline(name)["metadata"]["finalizers"] == ["example.com/other"], "only ours is taken"
    assert cluster.client.get(DEPLOYMENT.path(OPERATOR_NAMESPACE, NAME)) is None
    assert cluster.client.get(JOB) is None, "nothing is left of it"
    assert "-uninstall" not in cluster.server.kubectl("get", "clusterroles", "--output=name")
