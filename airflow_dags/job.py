"""A step of the batch as a Kubernetes Job, which outlives the Airflow that started it.

Its name follows from the task: whoever runs the task again, after Airflow was restarted or lost its
connection, finds the Job and goes on following it. So no step runs twice at once. A pod that is killed or
evicted is started anew by Kubernetes; one that says why it failed is not, and the caller decides what that
means. It is noted at the Job when its answer was taken over: only then does the next run of the task make a
new one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dags.kube import Kube, KubeError, Object
from airflow_dags.pipeline import Pods

_log = logging.getLogger(__name__)
_TAKEN_OVER = "stockpipeline.dev/taken-over"
# Status 1 and 2 are answers of the command line; everything else is a kill.
_ANSWERS = [1, 2]
_KILLS_SURVIVED = 3
# No step takes so long: it hangs.
_DEADLINE_SECONDS = 6 * 3600
_KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Step:
    """What a Job is for."""

    identity: tuple[str, ...]
    """What names the task of one run: the same again is the same step."""

    words: tuple[str, ...]
    """The arguments of the container."""

    labels: dict[str, str]
    """Labels of Job and pods beside those of the template."""


class StepJob:
    """The Job of a step."""

    def __init__(
        self, kube: Kube, pods: Pods, step: Step, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._kube = kube
        self._pods = pods
        self._step = step
        self._pause = pause
        owner = pods.owner["name"]
        digest = hashlib.blake2b("\n".join(step.identity).encode(), digest_size=6).hexdigest()
        self.name = f"{owner[:48]}-{digest}"
        self._collection = f"/apis/batch/v1/namespaces/{pods.namespace}/jobs"
        self._path = f"{self._collection}/{self.name}"

    def run(self) -> tuple[bool, list[str]]:
        """Run the step, or go on following it; return whether it succeeded, and the lines of its last pod.

        Raises:
            KubeError, OSError: the API server refuses, or cannot be reached; the Job goes on.
        """
        self._ensure()
        lines: list[str] = []
        followed, told = "", ""
        while True:
            found = self._kube.get(self._path)
            if found is None:
                raise OSError(f"the Job {self.name} was deleted while it ran")
            ended = _ended(found)
            pod = self._newest_pod()
            if pod is not None and _has_log(pod) and pod["metadata"]["uid"] != followed:
                followed = pod["metadata"]["uid"]
                lines = self._log(pod, follow=True)
                continue
            if ended is not None:
                if pod is not None and last_report(lines) is None:
                    lines = self._log(pod, follow=False)  # following it may have broken off
                self._kube.merge(self._path, {"metadata": {"annotations": {_TAKEN_OVER: "true"}}})
                if not ended[0]:
                    _log.warning("Job %s: %s", self.name, ended[1])
                return ended[0], lines
            if pod is not None and (trouble := _trouble(pod)) not in ("", told):
                told = trouble
                _log.warning("pod %s waits: %s", pod["metadata"]["name"], trouble)
            self._pause(1.0)

    def _ensure(self) -> None:
        found = self._kube.get(self._path)
        if found is not None and _TAKEN_OVER in found["metadata"].get("annotations", {}):
            self._kube.delete(self._path)
            while self._kube.get(self._path) is not None:
                self._pause(0.5)
            found = None
        if found is None and self._kube.create(self._collection, self.manifest()):
            _log.info("Job %s/%s: %s", self._pods.namespace, self.name, " ".join(self._step.words))
        else:
            _log.info("Job %s/%s is there already: following it", self._pods.namespace, self.name)

    def manifest(self) -> Object:
        """The Job."""
        template = self._pods.template
        labels = {**template["metadata"]["labels"], **self._step.labels}
        (container,) = template["spec"]["containers"]
        container = {**container, "args": list(self._step.words)}
        pod = {**template["spec"], "restartPolicy": "Never", "containers": [container]}
        spark = self._pods.spark
        if spark is not None and self._step.words[:2] == ("batch", "compute"):
            # No other step gets a token: most of them read what strangers have written.
            pod |= {"serviceAccountName": spark.account, "automountServiceAccountToken": True}
            container["env"] = [
                *container.get("env", ()),
                {"name": "STOCKPIPELINE_SPARK_IMAGE", "value": spark.image},
                {"name": "STOCKPIPELINE_SPARK_VOLUME", "value": spark.volume},
            ]
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.name, "labels": labels, "ownerReferences": [self._pods.owner]},
            "spec": {
                "backoffLimit": _KILLS_SURVIVED,
                "activeDeadlineSeconds": _DEADLINE_SECONDS,
                "ttlSecondsAfterFinished": _KEPT_SECONDS,
                "podFailurePolicy": {
                    "rules": [
                        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                        {
                            "action": "FailJob",
                            "onExitCodes": {
                                "containerName": container["name"],
                                "operator": "In",
                                "values": _ANSWERS,
                            },
                        },
                    ]
                },
                "template": {"metadata": {**template["metadata"], "labels": labels}, "spec": pod},
            },
        }

    def _newest_pod(self) -> Object | None:
        path = f"/api/v1/namespaces/{self._pods.namespace}/pods?labelSelector=job-name%3D{self.name}"
        found = self._kube.get(path)
        pods: list[Object] = [] if found is None else found["items"]
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def _log(self, pod: Object, *, follow: bool) -> list[str]:
        """Log what a pod says, until it ends where it is to be followed; return it."""
        name, lines = pod["metadata"]["name"], []
        try:
            path = f"/api/v1/namespaces/{self._pods.namespace}/pods/{name}/log"
            for line in self._kube.lines(f"{path}?follow=true" if follow else path):
                _log.info("%s", line)
                lines.append(line)
        except (KubeError, OSError) as error:
            # The pod was deleted, or its node is gone: what the Job says counts.
            _log.warning("the log of pod %s broke off: %s", name, error)
        return lines


def last_report(lines: Sequence[str]) -> dict[str, Any] | None:
    """Return the report of a step among what it said; a pod's log also has what it logged."""
    for line in reversed(lines):
        if not line.startswith("{"):
            continue
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("ok"), bool):
            return found
    return None


def _ended(job: Object) -> tuple[bool, str] | None:
    """Whether a Job succeeded, and why not; None while it runs."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            reason = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            return condition["type"] == "Complete", reason
    return None


def _has_log(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed")


def _trouble(pod: Object) -> str:
    """What keeps a pod from starting, if something does."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting")
        if waiting is not None and waiting.get("reason") != "ContainerCreating":
            return f"{waiting.get('reason')}: {waiting.get('message', '')}"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"{condition.get('reason')}: {condition.get('message', '')}"
    return ""
