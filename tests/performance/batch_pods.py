"""The engine Spark as pods of the local cluster, next to the engine Local on the same lakes.

Needs a cluster that was brought up with the engine's image (`make up SPARK=1`).
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.settings import Settings
from cluster.shell import run, wait_until
from cluster.up import cluster_of
from stockpipeline.adapters.kubernetes_api import Access, KubernetesApi
from stockpipeline.api import DEFAULT_INDICATORS, Batch
from stockpipeline.batch.spark_job import spark_job
from stockpipeline.batch.spark_request import SparkRequest, SparkVolume
from stockpipeline.batch.watchlist import batch_indicators
from tests.e2e.conftest import Deployment
from tests.performance.report import Report
from tests.spark.desk import Desk

_PASSES = 3
_PATIENCE = 600.0
_DATA = PurePosixPath("/data")
_TERMS = Batch.model_validate(
    {"spark": {"driver": {"cores": 2, "memory": "2Gi"}, "executor": {"instances": 2, "memory": "2Gi"}}}
)


class SparkPods:
    """Runs the job in a namespace of its own."""

    def __init__(self, desk: Desk, api: KubernetesApi) -> None:
        self._desk, self._api = desk, api

    def measure(self, report: Report, size: str, lake: Path, *, warm: bool) -> None:
        """Add `spark_SIZE`, from request to end, and if `warm`, what a pass costs in a session that is up."""
        self._bring(lake)
        started = time.perf_counter()
        told = self._run(lake, 1)
        seconds = time.perf_counter() - started
        note = (
            "in pods, two executors, from the request to the Job's end; "
            f"context {told['context_seconds']:.1f}, pass {told['pass_seconds'][0]:.1f}"
        )
        report.add(f"spark_{size}", seconds, "s", baseline=f"local_{size}", note=note)
        if warm:
            best = min(self._run(lake, _PASSES)["pass_seconds"][1:])
            report.add(f"spark_warm_pass_{size}", best, "s", baseline=f"local_pass_{size}", note="in pods")

    def _bring(self, lake: Path) -> None:
        """Copy the lake's bars to the volume."""
        command = [*self._desk.exec_command, "tar", "-x", "-C", str(_DATA)]
        packed = subprocess.Popen(
            ["tar", "-c", "-C", str(lake.parent), f"{lake.name}/bars"], stdout=subprocess.PIPE
        )
        subprocess.run(command, stdin=packed.stdout, check=True)
        if packed.wait() != 0:
            raise RuntimeError(f"{lake} could not be packed")

    def _run(self, lake: Path, passes: int) -> dict[str, Any]:
        request = SparkRequest(
            namespace=self._desk.namespace,
            pipeline="night",
            session=15_765,
            indicators=batch_indicators(DEFAULT_INDICATORS),
            lake=_DATA / lake.name,
            inputs=uuid.uuid4().hex,  # each run is one of its own
            anew=True,
            image=self._desk.images["spark"],
            volume=SparkVolume("night-batch", _DATA),
            terms=_TERMS,
            service_account="night-spark",
            deadline_seconds=int(_PATIENCE),
        )
        job = spark_job(request, None)
        job["spec"]["template"]["spec"]["containers"][0]["args"] += ["--passes", str(passes)]
        jobs = f"/apis/batch/v1/namespaces/{request.namespace}/jobs"
        if self._api.create(jobs, job) is None:
            raise RuntimeError(f"the Job {request.job_name} is there already")

        def complete() -> bool:
            status: dict[str, Any] = (self._api.get(f"{jobs}/{request.job_name}") or {}).get("status", {})
            if status.get("failed"):
                raise RuntimeError(
                    f"the Job {request.job_name} failed: {self._log(request.job_name)[-2000:]}"
                )
            return bool(status.get("succeeded"))

        wait_until(complete, _PATIENCE, f"the Job {request.job_name} is complete")
        report: dict[str, Any] = json.loads(self._log(request.job_name).splitlines()[-1])
        return report

    def _log(self, job: str) -> str:
        return self._desk.kubectl("logs", f"job/{job}")


@contextmanager
def spark_pods(settings: Settings) -> Iterator[SparkPods | None]:
    """Yield what measures in the settings' cluster; None where there is none with the engine's image."""
    cluster = cluster_of(settings)
    if not cluster.running() or not any("/spark:" in image for image in cluster.images()):
        yield None
        return
    kubectl: list[str | Path] = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig]
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    run([*kubectl, "create", "namespace", namespace])
    try:
        run([*kubectl, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"])
        desk = Desk(Deployment(cluster.kubectl, cluster.kubeconfig, "", ""), namespace)
        yield SparkPods(desk, KubernetesApi(Access.of_kubeconfig(cluster.kubeconfig)))
    finally:
        run([*kubectl, "delete", "namespace", namespace, "--wait=false"])
