"""The engine Spark in pods of a cluster of the benchmark's own, on lakes that the engine Local has done."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.progress import Progress
from cluster.shell import wait_until
from stockpipeline.adapters.kubernetes_api import Access, KubernetesApi
from stockpipeline.api import DEFAULT_INDICATORS, Batch
from stockpipeline.batch.spark_job import spark_job
from stockpipeline.batch.spark_request import SparkRequest, SparkVolume
from stockpipeline.batch.watchlist import batch_indicators
from tests.e2e.conftest import Deployment
from tests.performance.own_node import own_node
from tests.performance.report import Report
from tests.spark.desk import Desk

_NAMESPACE = "bench"
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
def spark_pods(progress: Progress) -> Iterator[SparkPods]:
    """Yield what measures in a new cluster; it is taken away at the end, whatever happens."""
    with own_node("stockpipeline-bench-batch", ("services", "spark"), progress) as cluster:
        node = cluster.node
        deployment = Deployment(node.kubectl, node.kubeconfig, "", "")
        deployment.kubectl("create", "namespace", _NAMESPACE)
        deployment.kubectl("label", "namespace", _NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield SparkPods(Desk(deployment, _NAMESPACE), KubernetesApi(Access.of_kubeconfig(node.kubeconfig)))
