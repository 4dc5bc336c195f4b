"""An embedded cluster of the tests' own, brought up by the same command that users run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.settings import Settings
from cluster.shell import run, wait_until
from cluster.up import cluster_of

REPO = Path(__file__).resolve().parents[2]
NAME = "stockpipeline-e2e"
READY_TIMEOUT = 180.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has another loopback


def make(verb: str) -> subprocess.CompletedProcess[str]:
    """Run `python3 -m cluster VERB` for the tests' cluster, as the Makefile does."""
    return subprocess.run(
        [sys.executable, "-m", "cluster", verb],
        cwd=REPO,
        env={**os.environ, "CLUSTER": "node", "CLUSTER_NAME": NAME},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Deployment:
    """The running product, as a user reaches it: kubectl and Prometheus."""

    kubectl_program: Path
    kubeconfig: Path
    prometheus: str
    up_output: str

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        command: list[str | Path] = [self.kubectl_program, "--kubeconfig", self.kubeconfig, *arguments]
        return run(command, check=check, input=stdin, timeout=120).stdout

    def helm(self, *arguments: str) -> str:
        program = self.kubectl_program.with_name("helm")
        command: list[str | Path] = [program, "--kubeconfig", self.kubeconfig, *arguments]
        return run(command, timeout=60).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return found

    def apply(self, resource: dict[str, Any]) -> None:
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(resource))

    def create_namespace(self, name: str) -> None:
        """Create a namespace as strict as the product's own."""
        self.kubectl("create", "namespace", name)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")

    def services_image(self) -> str:
        """The image of the services, which has a Python."""
        detector = self.get("deployment", "demo-detector", "--namespace", "default")
        return str(detector["spec"]["template"]["spec"]["containers"][0]["image"])

    def condition(self, namespace: str, name: str, kind: str) -> dict[str, Any] | None:
        """Return a condition of a StockPipeline, once it speaks of the current generation."""
        resource = self.get("stockpipeline", name, "--namespace", namespace)
        for condition in resource.get("status", {}).get("conditions", []):
            if (
                condition["type"] == kind
                and condition["observedGeneration"] == resource["metadata"]["generation"]
            ):
                return dict(condition)
        return None

    def wait_ready(self, namespace: str, name: str) -> None:
        def ready() -> bool:
            condition = self.condition(namespace, name, "Ready")
            return condition is not None and condition["status"] == "True"

        wait_until(ready, READY_TIMEOUT, f"StockPipeline {namespace}/{name} is Ready")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Run an instant query; return the series with labels and value."""
        parameters = urllib.parse.urlencode({"query": expression})
        with DIRECT.open(f"{self.prometheus}/api/v1/query?{parameters}", timeout=10) as response:
            result = json.load(response)["data"]["result"]
        return [{**series["metric"], "value": float(series["value"][1])} for series in result]

    def value(self, expression: str) -> float | None:
        """Return the one value of a query, None where there is none."""
        found = self.query(expression)
        return found[0]["value"] if found else None

    def signals(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """Read all committed signals of a pipeline from its topic, through its own pod."""
        lines = self.kubectl(
            "exec", "--namespace", namespace, f"deployment/{name}-detector", "--",
            "stockpipeline", "signals", "--config", "/etc/stockpipeline/pipeline.json",
            "--last", "1000000", "--json",
        )  # fmt: skip
        return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on a cluster of the tests' own; removed at the end."""
    settings = Settings.from_environment({**os.environ, "CLUSTER": "node", "CLUSTER_NAME": NAME})
    cluster = cluster_of(settings)
    make("down")  # what a killed test run may have left
    try:
        output = make("up").stdout
        yield Deployment(
            kubectl_program=cluster.kubectl,
            kubeconfig=cluster.kubeconfig,
            prometheus=f"http://127.0.0.1:{settings.prometheus_port}",
            up_output=output,
        )
    finally:
        make("down")


@pytest.fixture
def namespace(deployment: Deployment) -> Iterator[str]:
    """A namespace for one test; removed with all in it."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    deployment.create_namespace(name)
    yield name
    deployment.kubectl("delete", "namespace", name, "--timeout=120s")


def pipeline(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Return a StockPipeline that replays a short time as fast as it can, with `spec` put over it."""
    return {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "universe": {"symbols": ["AAPL", "IBM", "MSFT", "GOOG"]},
            "sources": [replay()],
            **spec,
        },
    }


def replay(**options: Any) -> dict[str, Any]:
    """Return a replay source of 60 days at full speed, with `options` put over it."""
    defaults = {"start": "2008-09-02", "end": "2008-10-31", "speed": 0, "ticksPerBar": 12, "seed": 7}
    return {"name": "replay", "replay": {**defaults, **options}}
