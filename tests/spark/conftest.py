"""A cluster of the tests' own with the engine Spark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters import deployed
from tests.e2e.conftest import Deployment, namespace

__all__ = ["namespace"]


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on that cluster; removed at the end."""
    with deployed({"CLUSTER": "node", "CLUSTER_NAME": "stockpipeline-spark", "SPARK": "1"}) as product:
        yield product
