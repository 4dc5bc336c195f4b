"""Kills the first pod of every step of a pipeline's batch, at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3

from stockpipeline.adapters.kubernetes_api import Access, KubernetesApi, KubernetesUnreachable
from tests.e2e.conftest import Deployment

_LOOK_SECONDS = 0.1
STEP = "stockpipeline.dev/step"


def _runs(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


@contextmanager
def killing(deployment: Deployment, pipeline: str) -> Iterator[set[str]]:
    """Kill until the block is left; yields the names of the Jobs whose first pod was killed."""
    killed: set[str] = set()
    over = threading.Event()
    access = Access.of_kubeconfig(deployment.kubeconfig)
    api, pool = KubernetesApi(access), urllib3.PoolManager(ssl_context=access.tls)
    selector = {"labelSelector": f"{STEP},stockpipeline.dev/pipeline={pipeline}"}

    def kill() -> None:
        while not over.wait(_LOOK_SECONDS):
            try:
                pods = (api.get("/api/v1/namespaces/default/pods", selector) or {"items": []})["items"]
            except KubernetesUnreachable:  # a busy machine
                continue
            for pod in filter(_runs, pods):
                job = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
                if job not in killed:
                    killed.add(job)
                    # At once: on a busy machine a step can be over before kubectl has begun.
                    pool.request(
                        "DELETE",
                        f"{access.server}/api/v1/namespaces/default/pods/{pod['metadata']['name']}",
                        json={"gracePeriodSeconds": 0},
                        headers=access.headers(),
                    )

    thread = threading.Thread(target=kill, name="killer", daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
