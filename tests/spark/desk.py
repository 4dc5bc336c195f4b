"""A namespace with what a pipeline's release has for the engine Spark, and a pod from which to look on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

from cluster.imagebuild import build_all
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import wait_until
from tests.e2e.conftest import REPO, Deployment

PATIENCE = 400.0  # seconds; a busy machine takes a minute to start a driver
PIPELINE = {
    "name": "night",
    "spec": {
        "universe": {"symbols": ["AAPL", "IBM", "MSFT"]},
        "sources": [{"name": "replay", "replay": {"start": "2012-01-03"}}],
        "kafka": {"bootstrapServers": "localhost:9092"},
        "redis": {"url": "redis://localhost:6379/0"},
        "batch": {"engine": "Spark", "spark": {"executor": {"instances": 1}}},
    },
}
WORDS = ("--config", "/data/pipeline.json", "--lake", "/data/lake", "--session", "2013-02-28")


class Desk:
    """A namespace with what a pipeline's release has for Spark, and a pod that sees the lake."""

    def __init__(self, deployment: Deployment, namespace: str) -> None:
        self.deployment, self.namespace = deployment, namespace
        settings = Settings.from_environment({**os.environ, "CLUSTER": "node"})
        images = build_all(settings, Progress(StringIO()), ["services", "spark"])
        self.images = {image.name: image.reference for image in images}
        for each in (*_access(namespace), _claim(namespace), self._pod()):
            deployment.apply(each)
        self.config = json.dumps({"namespace": namespace, **PIPELINE})
        wait_until(lambda: self._phase() == "Running", PATIENCE, "the desk's pod runs")
        self.run("sh", "-c", "cat >/data/pipeline.json", stdin=self.config)

    def kubectl(self, *words: str) -> str:
        return self.deployment.kubectl(*words, "--namespace", self.namespace)

    @property
    def exec_command(self) -> list[str]:
        """What runs a command in the pod."""
        program, kubeconfig = str(self.deployment.kubectl_program), str(self.deployment.kubeconfig)
        where = ["--namespace", self.namespace, "desk", "--"]
        return [program, "--kubeconfig", kubeconfig, "exec", "--stdin", *where]

    def run(self, *words: str, stdin: str | None = None) -> str:
        command = ("exec", "--stdin", "--namespace", self.namespace, "desk", "--", *words)
        return self.deployment.kubectl(*command, stdin=stdin)

    def batch(self, step: str, *words: str) -> dict[str, Any]:
        lines = self.run("stockpipeline", "batch", step, "--json", *words).splitlines()
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    def spark(self, folder: Path) -> subprocess.Popen[str]:
        """Ask for the engine from outside of the cluster, with the rights of who submits and no others."""
        token = self.kubectl("create", "token", "night-spark-submit").strip()
        kubeconfig = yaml.safe_load(self.deployment.kubeconfig.read_text())
        for user in kubeconfig["users"]:
            user["user"] = {"token": token}
        (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        (folder / "pipeline.json").write_text(self.config)
        words = ["--config", str(folder / "pipeline.json"), *WORDS[2:], "--engine", "spark", "--json"]
        pods = ["--spark-image", self.images["spark"], "--spark-volume", "night-batch:/data"]
        return subprocess.Popen(
            [sys.executable, "-m", "stockpipeline.cli", "batch", "compute", *words, *pods],
            cwd=REPO,
            env={**os.environ, "KUBECONFIG": str(folder / "kubeconfig")},
            stdout=subprocess.PIPE,
            text=True,
        )

    def pods(self, component: str) -> dict[str, dict[str, Any]]:
        """The pods of a component that run, by uid."""
        selector = f"app.kubernetes.io/component={component}"
        found = self.deployment.get("pods", "--namespace", self.namespace, "--selector", selector)["items"]
        return {
            pod["metadata"]["uid"]: pod
            for pod in found
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        }

    def await_new(self, component: str, known: set[str]) -> dict[str, Any]:
        """Wait for a pod that was not known; return it."""

        def new() -> list[dict[str, Any]]:
            return [pod for uid, pod in self.pods(component).items() if uid not in known]

        wait_until(lambda: bool(new()), PATIENCE, f"a new pod {component} runs")
        return new()[0]

    def at_work(self) -> list[dict[str, Any]]:
        """The drivers that have given work to executors."""
        drivers = self.pods("spark-driver").values()
        return [pod for pod in drivers if '"progress"' in self._log(pod["metadata"]["name"])]

    def _log(self, pod: str) -> str:
        return self.deployment.kubectl("logs", pod, "--namespace", self.namespace, check=False)

    def kill(self, pod: dict[str, Any]) -> None:
        self.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")

    def digests(self, lake: str) -> str:
        return self.run("sh", "-c", f"cd /data/{lake}/indicators && sha256sum *")

    def _phase(self) -> str:
        pod = self.deployment.get("pod", "desk", "--namespace", self.namespace)
        return str(pod["status"].get("phase"))

    def _pod(self) -> dict[str, Any]:
        container = {
            "name": "desk",
            "image": self.images["services"],
            "command": ["sleep", "infinity"],
            "env": [
                {"name": "STOCKPIPELINE_SPARK_IMAGE", "value": self.images["spark"]},
                {"name": "STOCKPIPELINE_SPARK_VOLUME", "value": "night-batch:/data"},
            ],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "desk", "namespace": self.namespace},
            "spec": {
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "fsGroup": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "terminationGracePeriodSeconds": 1,
                "containers": [container],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "night-batch"}}],
            },
        }


def _access(namespace: str) -> list[dict[str, Any]]:
    """What a pipeline's release has for Spark, without the pipeline that would own it."""
    values = {
        "config": "{}",
        "owner": {"name": "night", "uid": "none"},
        "image": {"repository": "none", "tag": "none"},
        "spark": {"enabled": True, "image": "none"},
    }
    rendered = Chart.load(REPO / "charts/stockpipeline").render(values, name="night", namespace=namespace)
    objects = [each for text in rendered.values() for each in yaml.safe_load_all(text) if each]
    found = [
        each for each in objects if each["metadata"]["labels"].get("app.kubernetes.io/component") == "spark"
    ]
    for each in found:
        del each["metadata"]["ownerReferences"]
        each["metadata"]["namespace"] = namespace
    return found


def _claim(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "night-batch", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "4Gi"}}},
    }
