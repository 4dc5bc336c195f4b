"""The embedded cluster of the benchmark: the operator as its chart installs it, and nothing else."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import deploy, imagebuild, prerequisites
from cluster.embedded.audit import Audit
from cluster.embedded.node import EmbeddedNode
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import run, wait_until
from cluster.up import exclusive
from stockpipeline_operator.kube.client import KubeClient
from stockpipeline_operator.kube.credentials import connection
from tests.audit import AuditLog, Request

NAME = "stockpipeline-bench"
_PROGRAM = b"stockpipeline-operator\0"
_SELECTOR = f"app.kubernetes.io/name={deploy.OPERATOR_RELEASE}"


@dataclass(frozen=True)
class BenchCluster:
    """The running cluster: its administrator's client, and a look at the operator from outside."""

    node: EmbeddedNode
    client: KubeClient
    audit: AuditLog

    def requests(self, mark: int = 0) -> list[Request]:
        """What the operator has asked of the API server since a mark in the audit log."""
        account = f"system:serviceaccount:{deploy.SYSTEM_NAMESPACE}:{deploy.OPERATOR_RELEASE}"
        return [one for one in self.audit.since(mark) if one.user == account]

    def peak_memory(self) -> float:
        """The most memory that the operator's process has had in use, in MiB."""
        return max(_peak_memory(pid) for pid in self._operator_pids())

    def processor_seconds(self) -> float:
        """The processor time that the operator's process has used since its start."""
        return sum(_processor_seconds(pid) for pid in self._operator_pids())

    def metric(self, name: str) -> float:
        """A figure that the operator shows of itself; 0 if it does not (yet)."""
        for line in self._metrics().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample == name:
                return float(value)
        return 0.0

    def restart(self) -> float:
        """End the operator's pod in an orderly way; return when (`time.monotonic`)."""
        self._kubectl("delete", "pod", "--selector", _SELECTOR, "--wait=false")
        return time.monotonic()

    def _metrics(self) -> str:
        found = json.loads(self._kubectl("get", "pods", "--selector", _SELECTOR, "--output", "json"))
        pods = [
            pod["metadata"]["name"]
            for pod in found["items"]
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        if not pods:
            return ""
        path = f"/api/v1/namespaces/{deploy.SYSTEM_NAMESPACE}/pods/{pods[0]}:8080/proxy/metrics"
        # Not there yet is no failure: a pod that starts does not answer at once.
        return self._kubectl("get", "--raw", path, check=False)

    def _kubectl(self, *words: str, check: bool = True) -> str:
        command: list[str | Path] = [self.node.kubectl, "--kubeconfig", self.node.kubeconfig]
        return run([*command, "--namespace", deploy.SYSTEM_NAMESPACE, *words], check=check, timeout=60).stdout

    def _operator_pids(self) -> list[int]:
        found = [pid for pid in self.node.pids() if _PROGRAM in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if not found:
            raise LookupError(f"no process of the operator runs in the cluster {NAME}")
        return found


@contextmanager
def bench_cluster(workers: int, progress: Progress) -> Iterator[BenchCluster]:
    """A new cluster with one replica of the operator; taken away at the end, whatever happens."""
    settings = Settings.from_environment({**os.environ, "CLUSTER": "node", "CLUSTER_NAME": NAME})
    prerequisites.check(settings)
    (image,) = imagebuild.build_all(settings, progress, ["operator"])
    with exclusive(settings):
        audit = Audit(settings.state / "audit", deploy.SYSTEM_NAMESPACE)
        node = EmbeddedNode(settings, audit=audit)
        node.down(progress)  # what a killed run may have left
        try:
            node.up(progress)
            node.load_image(image.tar, image.reference)
            with progress.step("Operator"):
                _install(settings, node, deploy.image_values(image), workers)
            os.environ["KUBECONFIG"] = str(node.kubeconfig)
            yield BenchCluster(node, KubeClient(connection(), connections=8), AuditLog(audit.log))
        finally:
            node.down(progress)


def _install(settings: Settings, node: EmbeddedNode, image: dict[str, str], workers: int) -> None:
    deploy.namespaces(node)
    values = {
        "image": image,
        "services": {"image": {"tag": "bench"}},  # no pod of it is ever made
        "replicas": 1,
        "workers": workers,
    }
    deploy.release(
        settings, node, "stockpipeline-operator", deploy.OPERATOR_RELEASE, deploy.SYSTEM_NAMESPACE, values
    )
    deploy.wait_for_rollout(node, deploy.SYSTEM_NAMESPACE)


def _processor_seconds(pid: int) -> float:
    # The program's name may hold blanks and brackets: the fields begin behind its closing one (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_memory(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} has ended")


def wait_for_queue(cluster: BenchCluster, passes: int, seconds: float) -> None:
    """Wait until the operator's process has made so many passes, and nothing waits for one."""
    wait_until(
        lambda: (
            cluster.metric('stockpipeline_operator_reconciles_total{result="success"}') >= passes
            and cluster.metric("stockpipeline_operator_queue_depth") == 0
        ),
        seconds,
        f"{passes} passes",
    )
