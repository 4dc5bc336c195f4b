"""One API server, Kafka and Redis for all tests of the operator; names of pipelines keep the tests apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stockpipeline_operator.kube.credentials import connection
from tests.integration.api_server import api_server
from tests.integration.operator.harness import Cluster, Operator, install_rights


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """An API server without the product."""
    with api_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(server.kubeconfig))
        yield Cluster(server, connection())


@pytest.fixture(scope="session")
def rights(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CRD is installed; the kubeconfig of the operator's service account."""
    return install_rights(cluster, tmp_path_factory.mktemp("rights"))


@pytest.fixture(scope="session")
def the_operator(
    cluster: Cluster, rights: Path, kafka: str, redis: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The operator; use the fixture `operator`, which also brings it back after a test that killed it."""
    process = Operator(
        rights, tmp_path_factory.mktemp("operator"), kafka, redis, after_kill=cluster.give_lease_up
    )
    yield process
    process.stop()


@pytest.fixture
def operator(the_operator: Operator) -> Operator:
    """A running operator."""
    if not the_operator.running:
        the_operator.start()
    return the_operator
