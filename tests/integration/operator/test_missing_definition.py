"""The definition of StockPipeline is deleted under a running operator, and installed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockpipeline_operator.kube.credentials import connection
from stockpipeline_operator.kube.resources import OWNED
from tests.integration.api_server import api_server
from tests.integration.operator.harness import Cluster, Operator, eventually, install_rights, pipeline

DEFINITION = "crd/stockpipelines.stockpipeline.dev"


def test_deleting_the_definition_deletes_the_pipelines_and_the_operator_outlives_it(
    kafka: str, redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All pipelines of the cluster go, so it is one of the test's own.
    with api_server() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        cluster = Cluster(server, connection())
        rights = install_rights(cluster, tmp_path)
        operator = Operator(rights, tmp_path, kafka, redis, resync_seconds=2)
        operator.start()
        try:
            cluster.apply(pipeline("defined"))
            cluster.settled("defined")
            server.kubectl("delete", DEFINITION, "--timeout=50s")
            assert cluster.release_secrets("defined") == []
            assert all(cluster.owned(resource, "defined") == [] for resource in OWNED)
            eventually(lambda: operator.read("/readyz")[0] == 503, "the operator to miss the definition")

            install_rights(cluster, tmp_path)
            eventually(lambda: operator.read("/readyz")[0] == 200, "the operator to find the definition")
            cluster.apply(pipeline("defined"))
            cluster.settled("defined")
            cluster.delete("defined")
        finally:
            operator.stop()
