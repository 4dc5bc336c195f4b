"""Kills the first process of every step of a pipeline's batch, at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stockpipeline.adapters.kubernetes_api import Access, KubernetesApi, KubernetesUnreachable
from tests.e2e.conftest import Deployment
from tests.node import Pod

_LOOK_SECONDS = 0.1
STEP = "stockpipeline.dev/step"
_PROGRAM = "/opt/stockpipeline/bin/stockpipeline"


def _runs(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


@contextmanager
def killing(deployment: Deployment, pipeline: str) -> Iterator[set[str]]:
    """Kill until the block is left; yields the names of the Jobs whose first process was killed."""
    killed: set[str] = set()
    over = threading.Event()
    api = KubernetesApi(Access.of_kubeconfig(deployment.kubeconfig))
    selector = {"labelSelector": f"{STEP},stockpipeline.dev/pipeline={pipeline}"}

    def kill() -> None:
        while not over.wait(_LOOK_SECONDS):
            try:
                pods = (api.get("/api/v1/namespaces/default/pods", selector) or {"items": []})["items"]
            except KubernetesUnreachable:  # a busy machine
                continue
            for pod in filter(_runs, pods):
                job = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
                # By the kernel: asked to end, a short step would just come to its end.
                if job not in killed and Pod(pod).kill(_PROGRAM):
                    killed.add(job)

    thread = threading.Thread(target=kill, name="killer", daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
