"""Clusters of the opt-in suites, brought up by the command that users run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cluster.settings import REPO, Settings
from cluster.up import cluster_of
from tests.e2e.conftest import Deployment


@contextmanager
def deployed(choices: Mapping[str, str]) -> Iterator[Deployment]:
    """Yield the product on a cluster that is made by these choices (environment variables of `make up`).

    One that a killed run left is removed before, and this one after.
    """
    settings = Settings.from_environment({**os.environ, **choices})
    cluster = cluster_of(settings)
    _make("down", choices)
    try:
        output = _make("up", choices)
        yield Deployment(
            kubectl_program=cluster.kubectl,
            kubeconfig=cluster.kubeconfig,
            prometheus=f"http://127.0.0.1:{settings.prometheus_port}",
            up_output=output,
        )
    finally:
        _make("down", choices)


def _make(verb: str, choices: Mapping[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-m", "cluster", verb],
        cwd=REPO,
        env={**os.environ, **choices},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
