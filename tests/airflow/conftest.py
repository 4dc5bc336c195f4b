"""A cluster of the tests' own with Airflow and the stand-ins, brought up by the command that users run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cluster.settings import REPO, Settings
from cluster.up import cluster_of
from tests.e2e.conftest import Deployment

CHOICES = {"CLUSTER": "node", "CLUSTER_NAME": "stockpipeline-airflow", "SOURCE": "kis-demo", "AIRFLOW": "1"}


def make(verb: str) -> str:
    """Run `python3 -m cluster VERB` for the tests' cluster, as the Makefile does; return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "cluster", verb],
        cwd=REPO,
        env={**os.environ, **CHOICES},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on that cluster; removed at the end."""
    settings = Settings.from_environment({**os.environ, **CHOICES})
    cluster = cluster_of(settings)
    make("down")  # what a killed test run may have left
    try:
        output = make("up")
        yield Deployment(
            kubectl_program=cluster.kubectl,
            kubeconfig=cluster.kubeconfig,
            prometheus=f"http://127.0.0.1:{settings.prometheus_port}",
            up_output=output,
        )
    finally:
        make("down")
