"""An operator process against a real API server, and what tests ask of the cluster.

There is no controller manager and no kubelet: Deployments are stored and never run. Tests play that part by
writing a Deployment's status (`Cluster.rolled_out`).
"""

from __future__ import annotations

import datetime
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import helm_python
import kopf
import yaml

from stockpipeline_operator.helm.chart import parse_manifest
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    LEASE,
    POD,
    SECRET,
    STOCK_PIPELINE,
    ResourceType,
    pipeline_selector,
)
from tests.integration.api_server import OPERATOR_NAMESPACE, ApiServer
from tests.integration.servers.process import ServerProcess
from tests.ports import free_port

REPO = Path(__file__).parents[3]
PROGRAM = REPO / ".venv" / "bin" / "stockpipeline-operator"
OPERATOR_NAME = "stockpipeline-operator"
DELETION_DEADLINE_SECONDS = 5

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], what: str, seconds: float = 30) -> Found:
    """Wait until `look` returns something true, and return it; an AssertionError in it counts as not yet."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = look()
        except AssertionError as error:
            last = error
        else:
            if found:
                return found
            last = found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}; last seen: {last}")


def pipeline(name: str, namespace: str = "default", **spec: Any) -> Object:
    """A small StockPipeline; keyword arguments are members of its spec."""
    return {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "universe": {"symbols": ["AAPL", "IBM"]},
            "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
            **spec,
        },
    }


class Cluster:
    """The API server as its administrator sees it."""

    def __init__(self, server: ApiServer, info: kopf.ConnectionInfo) -> None:
        self.server = server
        self.client = KubeClient(info, connections=2)

    def apply(self, resource: Object) -> Object:
        """Apply a resource as `kubectl apply --server-side` does."""
        metadata = resource["metadata"]
        path = STOCK_PIPELINE.path(metadata["namespace"], metadata["name"])
        return self.client.apply(path, resource, "tests")

    def edit(self, name: str, spec: Mapping[str, Any], namespace: str = "default") -> Object:
        """Change members of a pipeline's spec."""
        return self.client.merge(STOCK_PIPELINE.path(namespace, name), {"spec": dict(spec)})

    def approve(self, name: str, digest: str, namespace: str = "default") -> None:
        """Approve a plan, as the message of its condition tells users to."""
        annotation = f"stockpipeline.dev/approve={digest}"
        words = ("annotate", "stockpipeline", name, "--namespace", namespace, "--overwrite", annotation)
        self.server.kubectl(*words)

    def plan(self, name: str, namespace: str = "default") -> Object:
        """The plan in a pipeline's status, for its newest spec."""
        self.condition(name, namespace=namespace)
        plan: Object | None = self.pipeline(name, namespace)["status"].get("plan")
        assert plan is not None, "no plan"
        return plan

    def get(self, resource: ResourceType, name: str, namespace: str = "default") -> Object | None:
        """An object, or None."""
        return self.client.get(resource.path(namespace, name))

    def pipeline(self, name: str, namespace: str = "default") -> Object:
        """A pipeline that must exist."""
        found = self.get(STOCK_PIPELINE, name, namespace)
        assert found is not None, f"StockPipeline {namespace}/{name} does not exist"
        return found

    def known_pipelines(self) -> int:
        """How many pipelines there are in the namespaces of all tests."""
        return len(list(self.client.list(STOCK_PIPELINE.path(None), metadata_only=True)))

    def condition(self, name: str, type_: str = "Ready", namespace: str = "default") -> tuple[str, str, str]:
        """(status, reason, message) of a condition for the newest spec."""
        found = self.pipeline(name, namespace)
        conditions = found.get("status", {}).get("conditions", [])
        one = next((one for one in conditions if one["type"] == type_), None)
        assert one is not None, "no condition yet"
        assert one["observedGeneration"] == found["metadata"]["generation"], (
            f"condition of an earlier spec: {one}"
        )
        return one["status"], one["reason"], one["message"]

    def has_reason(self, name: str, reason: str, namespace: str = "default") -> str:
        """Wait until a pipeline's Ready condition has this reason; return its message."""

        def look() -> bool:
            found = self.condition(name, namespace=namespace)
            assert found[1] == reason, found
            return True

        eventually(look, f"reason {reason} of {namespace}/{name}")
        return self.condition(name, namespace=namespace)[2]

    def delete(self, name: str, namespace: str = "default") -> None:
        """Delete a pipeline and wait until it is gone."""
        self.server.kubectl("delete", "stockpipeline", name, "--namespace", namespace, "--timeout=40s")

    def owned(self, resource: ResourceType, name: str, namespace: str = "default") -> list[Object]:
        """The objects of a pipeline."""
        return list(self.client.list(resource.path(namespace), pipeline_selector(name)))

    def config(self, name: str, namespace: str = "default") -> Object:
        """The content of a pipeline's pipeline.json."""
        found = self.get(CONFIG_MAP, f"{name}-config", namespace)
        assert found is not None, "no ConfigMap"
        content: Object = json.loads(found["data"]["pipeline.json"])
        return content

    def rolled_out(self, name: str, namespace: str = "default") -> None:
        """Write the status that Kubernetes gives to Deployments whose pods are all ready."""
        for deployment in self.owned(DEPLOYMENT, name, namespace):
            replicas = deployment["spec"]["replicas"]
            status = {"observedGeneration": deployment["metadata"]["generation"]}
            counts = dict.fromkeys(
                ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), replicas
            )
            path = DEPLOYMENT.path(namespace, deployment["metadata"]["name"], "status")
            self.client.merge(path, {"status": {**status, **counts, "conditions": None}})

    def given_up(self, name: str, component: str, last_words: str, namespace: str = "default") -> None:
        """Write what Kubernetes does when a component's container fails until the progress deadline."""
        path = DEPLOYMENT.path(namespace, f"{name}-{component}")
        deployment = self.client.get(path)
        assert deployment is not None
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = {"observedGeneration": deployment["metadata"]["generation"], "conditions": [condition]}
        status |= dict.fromkeys(("replicas", "updatedReplicas", "unavailableReplicas"), 1)
        status |= {"readyReplicas": None, "availableReplicas": None}
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        container = {"name": component, "image": "localhost/x:1", "imageID": "", "ready": False}
        ended = {"exitCode": 1, "message": last_words}
        container |= {"restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        container |= {"lastState": {"terminated": ended}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}-{component}-pod", "namespace": namespace, "labels": labels},
            "spec": {
                "serviceAccountName": name,
                "containers": [{"name": component, "image": "localhost/x:1"}],
            },
        }
        self.client.apply(POD.path(namespace, pod["metadata"]["name"]), pod, "tests")
        self.client.merge(
            POD.path(namespace, pod["metadata"]["name"], "status"),
            {"status": {"containerStatuses": [container]}},
        )
        self.client.merge(f"{path}/status", {"status": status})

    def settled(self, name: str, namespace: str = "default") -> None:
        """Wait until the release is what the spec says, play the kubelet, and wait for Ready."""
        self.has_reason(name, "WorkloadsStarting", namespace)
        self.rolled_out(name, namespace)
        self.has_reason(name, "Running", namespace)

    def releases(self, name: str, namespace: str = "default") -> list[tuple[int, str]]:
        """(revision, status) of a release's history, oldest first, read by Helm itself."""
        with helm_python.Config(kubeconfig_path=self.server.kubeconfig, namespace=namespace) as config:
            try:
                return [(one["revision"], one["status"]) for one in config.history(name)]
            except helm_python.HelmNotFoundError:
                return []

    def release_secrets(self, name: str, namespace: str = "default") -> list[Object]:
        """The Secrets that hold a release."""
        return list(self.client.list(SECRET.path(namespace), f"owner=helm,name={name}"))

    def leader(self, lease: str = OPERATOR_NAME) -> str:
        """The instance that holds a Lease; empty if none does."""
        found = self.client.get(LEASE.path(OPERATOR_NAMESPACE, lease))
        holder = "" if found is None else str(found["spec"].get("holderIdentity") or "")
        return holder.partition("_")[0]

    def give_lease_up(self, lease: str = OPERATOR_NAME) -> None:
        """Spare a test the wait for the Lease of an operator that it has killed."""
        if self.leader(lease):
            self.client.merge(LEASE.path(OPERATOR_NAMESPACE, lease), {"spec": {"holderIdentity": ""}})

    def events(self, name: str, namespace: str = "default") -> list[tuple[str, str]]:
        """(reason, note) of the events about a pipeline, oldest first."""
        found = sorted(self.client.list(EVENT.path(namespace)), key=lambda event: str(event["eventTime"]))
        return [(one["reason"], one.get("note", "")) for one in found if one["regarding"]["name"] == name]


class Operator(ServerProcess):
    """The operator's program, with the rights that its chart gives it.

    `instance` is what a pod's name is in a cluster; several may share a Lease. One that was killed holds the
    Lease for a while; `after_kill` may shorten that.
    """

    def __init__(
        self,
        kubeconfig: Path,
        directory: Path,
        kafka: str,
        redis: str,
        namespaces: str = "",
        instance: str = "operator",
        resync_seconds: int = 30,
        after_kill: Callable[[], None] = lambda: None,
        chart: Path = REPO / "charts" / "stockpipeline",
        tag: str = "test",
        deletion_deadline_seconds: float = DELETION_DEADLINE_SECONDS,
    ) -> None:
        self.instance = instance
        self._after_kill = after_kill
        self.address = f"127.0.0.1:{free_port()}"
        variables = {
            "KUBECONFIG": kubeconfig,
            "STOCKPIPELINE_INSTANCE": instance,
            "STOCKPIPELINE_HTTP_ADDRESS": self.address,
            "STOCKPIPELINE_OPERATOR_CHART": chart,
            "STOCKPIPELINE_OPERATOR_SERVICES_REPOSITORY": "localhost/stockpipeline/services",
            "STOCKPIPELINE_OPERATOR_SERVICES_TAG": tag,
            "STOCKPIPELINE_OPERATOR_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "STOCKPIPELINE_OPERATOR_REDIS_URL": redis,
            "STOCKPIPELINE_OPERATOR_DELETION_DEADLINE_SECONDS": deletion_deadline_seconds,
            "STOCKPIPELINE_OPERATOR_NAMESPACES": namespaces,
            "STOCKPIPELINE_OPERATOR_RESYNC_SECONDS": resync_seconds,
            "STOCKPIPELINE_OPERATOR_LEASE": f"{OPERATOR_NAMESPACE}/{kubeconfig.stem}",
        }
        arguments = ["env", *(f"{name}={value}" for name, value in variables.items()), str(PROGRAM)]
        super().__init__(arguments, directory / f"{instance}.log", self._is_up)

    @property
    def running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._child is not None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        super().kill()
        self._after_kill()

    def read(self, path: str) -> tuple[int, str]:
        """Status and body of a GET of the operator's port."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, labels: str = "") -> float:
        """A sample of the operator's metrics; 0 where it does not exist yet."""
        for line in self.read("/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample == name + labels:
                return float(value)
        return 0.0

    def has_looked_at(self, pipelines: int) -> bool:
        """Whether this process has made a pass over so many pipelines, each counted once."""
        gauge = "stockpipeline_operator_pipelines"
        found = (
            self.metric(gauge, f'{{condition="Ready",status="{status}"}}') for status in ("True", "False")
        )
        return sum(found) >= pipelines

    def _is_up(self) -> bool:
        return self.read("/readyz")[0] == 200


def install_rights(
    cluster: Cluster, directory: Path, name: str = OPERATOR_NAME, namespaces: Sequence[str] = ()
) -> Path:
    """Install CRD and RBAC of the operator's chart as the release `name`; return its kubeconfig."""
    chart = helm_python.Chart.load(REPO / "charts" / "stockpipeline-operator")
    tags: Object = {"image": {"tag": "test"}, "services": {"image": {"tag": "test"}}}
    values = tags | {"watchNamespaces": list(namespaces)}
    rendered = chart.render(values, name=name, namespace=OPERATOR_NAMESPACE)
    kubectl = cluster.server.kubectl
    if cluster.client.get(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}") is None:
        kubectl("create", "namespace", OPERATOR_NAMESPACE)
    for template in ("crd", "service-account", "rbac"):
        for document in parse_manifest(rendered[f"stockpipeline-operator/templates/{template}.yaml"]):
            place = document["metadata"].get("namespace", OPERATOR_NAMESPACE)
            kubectl(
                "apply", "--server-side", "--namespace", place, "--filename", "-", input=json.dumps(document)
            )  # fmt: skip
    kubectl("wait", "--for=condition=Established", "crd/stockpipelines.stockpipeline.dev", "--timeout=30s")
    token = kubectl("create", "token", name, "--namespace", OPERATOR_NAMESPACE).strip()
    config = yaml.safe_load(cluster.server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = directory / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
