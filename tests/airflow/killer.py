"""Kills the first pod of every step of a pipeline's batch, at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
                if job not in killed:
                    killed.add(job)
                    name = pod["metadata"]["name"]
                    # Others run at the same time, so it is not waited until this one is gone.
                    words = ("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")
                    deployment.kubectl(*words, check=False)

    thread = threading.Thread(target=kill, name="killer", daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
