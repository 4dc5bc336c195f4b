"""A cluster of the tests' own with Airflow, Spark and the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters import deployed
from tests.e2e.conftest import Deployment

CHOICES = {
    "CLUSTER": "node",
    "CLUSTER_NAME": "stockpipeline-airflow",
    "SOURCE": "kis-demo",
    "AIRFLOW": "1",
    "SPARK": "1",
}


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on that cluster; removed at the end."""
    with deployed(CHOICES) as product:
        yield product
