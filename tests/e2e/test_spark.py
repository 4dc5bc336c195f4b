"""The engine Spark in pods: the bytes of the engine Local, though an executor and the driver are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart

from cluster.imagebuild import build_all
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import wait_until
from stockpipeline.batch.lake import part_of
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
HELD = f"part-{part_of('AAPL'):02d}.parquet"
# An executor that comes to this part waits for what nobody writes into the pipe: it can be killed at work.
HOLD = f"cd /data && mv lake/bars/{HELD} real && mkfifo lake/bars/{HELD} && ln lake/bars/{HELD} pipe"
# From now on the file is there; whoever has the pipe open already gets the same bytes out of it.
RELEASE = f"""
import errno, os, shutil, time
bars = "/data/lake/bars/{HELD}"
shutil.copyfile("/data/real", "/data/lake/bars/new")
os.replace("/data/lake/bars/new", bars)
while True:
    try:
        pipe = os.open("/data/pipe", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody reads
            raise
    else:
        os.set_blocking(pipe, True)
        with open(pipe, "wb") as out, open(bars, "rb") as content:
            shutil.copyfileobj(content, out)
    time.sleep(0.2)
"""


class Desk:
    """A namespace with what a pipeline's release has for Spark, and a pod that sees the lake."""

    def __init__(self, deployment: Deployment, namespace: str) -> None:
        self.deployment, self.namespace = deployment, namespace
        settings = Settings.from_environment({**os.environ, "CLUSTER": "node"})
        images = build_all(settings, Progress(StringIO()), ["services", "spark"])
        self._images = {image.name: image.reference for image in images}
        for each in (*_access(namespace), _claim(namespace), self._pod()):
            deployment.apply(each)
        self.config = json.dumps({"namespace": namespace, **PIPELINE})
        wait_until(lambda: self._phase() == "Running", PATIENCE, "the desk's pod runs")
        self.run("sh", "-c", "cat >/data/pipeline.json", stdin=self.config)

    def kubectl(self, *words: str) -> str:
        return self.deployment.kubectl(*words, "--namespace", self.namespace)

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
        pods = ["--spark-image", self._images["spark"], "--spark-volume", "night-batch:/data"]
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
            "image": self._images["services"],
            "command": ["sleep", "infinity"],
            "env": [
                {"name": "STOCKPIPELINE_SPARK_IMAGE", "value": self._images["spark"]},
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
        "spark": {"enabled": True},
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
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


@pytest.mark.timeout(1800)
def test_kills_change_no_byte(deployment: Deployment, namespace: str, tmp_path: Path) -> None:
    desk = Desk(deployment, namespace)
    for step in ("collect", "download", "merge"):
        desk.batch(step, *WORDS)
    desk.run("cp", "-r", "/data/lake", "/data/copy")
    desk.batch("compute", "--engine", "local", "--config", "/data/pipeline.json", "--lake", "/data/copy")
    desk.run("sh", "-c", HOLD)

    asked = [desk.spark(tmp_path) for _ in range(2)]
    try:
        first = desk.await_new("spark-driver", set())
        name = first["metadata"]["name"]
        wait_until(lambda: '"progress"' in desk.kubectl("logs", name), PATIENCE, "Spark is at work")
        pages = f"/api/v1/namespaces/{namespace}/pods/{name}:4040/proxy/api/v1/applications"
        (application,) = json.loads(deployment.kubectl("get", "--raw", pages))
        assert application["name"] == "compute-indicators"
        executors = desk.pods("spark-executor")
        (executor,) = executors.values()
        desk.kill(executor)
        second = desk.await_new("spark-executor", set(executors))
        assert second["metadata"]["ownerReferences"][0]["uid"] == first["metadata"]["uid"]

        desk.kill(first)
        driver = desk.await_new("spark-driver", {first["metadata"]["uid"]})
        third = desk.await_new("spark-executor", {*executors, second["metadata"]["uid"]})
        assert third["metadata"]["ownerReferences"][0]["uid"] == driver["metadata"]["uid"]
        wait_until(
            lambda: set(desk.pods("spark-executor")) == {third["metadata"]["uid"]},
            PATIENCE,
            "the executor of the killed driver is gone with it",
        )
        desk.run("sh", "-c", 'nohup python3 -c "$0" >/dev/null 2>&1 &', RELEASE)
        reports = [json.loads(one.communicate(timeout=PATIENCE)[0].splitlines()[-1]) for one in asked]
    finally:
        for one in asked:
            one.kill()
            one.wait()

    assert [one.returncode for one in asked] == [0, 0]
    assert reports[0] == reports[1], "both have followed one Job"
    assert (reports[0]["ok"], reports[0]["drivers"]) == (True, 2)
    assert reports[0]["parts"] + reports[0]["unchanged"] == 64
    (job,) = deployment.get("jobs", "--namespace", namespace)["items"]
    assert job["metadata"]["name"] == reports[0]["job"]
    assert desk.digests("lake") == desk.digests("copy")
    assert len(desk.run("ls", "/data/spark-events").split()) == 2, "each driver keeps its event log"
    wait_until(lambda: not desk.pods("spark-executor"), PATIENCE, "no executor is left behind")

    again = desk.batch("compute", "--engine", "spark", *WORDS)
    assert (again["parts"], again["unchanged"]) == (0, 64), "what is done needs no pods"
