"""A cluster of the tests' own with Airflow, Spark and the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters import deployed
from tests.e2e.conftest import Deployment


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on that cluster; removed at the end."""
    choices = {
        "CLUSTER": "node",
        "CLUSTER_NAME": "stockpipeline-airflow",
        "SOURCE": "kis-demo",
        "AIRFLOW": "1",
        "SPARK": "1",
    }
    with deployed(choices) as product:
        yield product
