"""Runs a request to the engine Spark in a cluster: makes its Job, unless there is one, and follows it.

The state is all in the cluster and in the lake. Who follows may be killed: the Job goes on, and the next call
with the same request finds it by its name.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.spark_job import Object, spark_job
from stockpipeline.batch.spark_request import SparkRequest

_POLL_SECONDS = 1.0
_TAIL_LINES = 20


class Api(Protocol):
    """What is asked of Kubernetes; `adapters.kubernetes_api` has it."""

    def get(self, path: str, query: dict[str, str] | None = None) -> Object | None:
        """Return an object, None where there is none."""

    def text(self, path: str, query: dict[str, str] | None = None) -> str | None:
        """Return a text, None where there is none."""

    def create(self, path: str, body: Object) -> Object | None:
        """Make an object, None where one of its name exists."""

    def delete(self, path: str, uid: str) -> None:
        """Delete this very object."""


class NoSparkAccount(Exception):
    """The account that drivers run as does not exist; the message says what makes it."""


class SparkFailed(Exception):
    """The Job has failed; the message has its name and what its last driver said."""


@dataclass(frozen=True)
class SparkRun:
    """What a Job did: parts that were computed, parts whose inputs had not changed, rows, drivers it took.

    The figures are its last driver's; None where that pod is gone already.
    """

    job: str
    parts: int | None
    unchanged: int | None
    rows: int | None
    drivers: int


def run_on_spark(
    api: Api,
    request: SparkRequest,
    tell: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
) -> SparkRun:
    """Return when the Job is complete. `tell` gets a sentence whenever something has changed.

    Raises:
        NoSparkAccount: nobody has given the pipeline what drivers need.
        TooSmall: driver or executors would not fit in their memory.
        BrokenPart: a file of the lake cannot be read or cannot be.
        SparkFailed: the Job failed otherwise; the same request makes it anew.
    """
    uid = _ensure(api, request, tell, wait)
    jobs = _jobs(request)
    told = ""
    while True:
        job = api.get(f"{jobs}/{request.job_name}")
        if job is None or job["metadata"]["uid"] != uid:
            raise SparkFailed(f"the Job {request.namespace}/{request.job_name} was deleted while it ran")
        ended = _ended(job)
        if ended is not None:
            break
        now = _state(api, request, job)
        if now != told:
            tell(f"{request.job_name}: {now}")
            told = now
        wait(_POLL_SECONDS)
    kind, why = ended
    drivers = _pods(api, request, uid)
    said = _last_words(drivers)
    if kind != "Complete":
        if said.get("error") == BrokenPart.__name__:
            raise BrokenPart(said["message"])
        message = (
            said.get("message")
            or "no driver has left a word: see `kubectl logs` and `kubectl describe` of it"
        )
        raise SparkFailed(f"the Job {request.namespace}/{request.job_name} failed ({why}): {message}")
    return SparkRun(
        job=request.job_name,
        parts=said.get("parts"),
        unchanged=said.get("unchanged"),
        rows=said.get("rows"),
        drivers=1 + int(job["status"].get("failed", 0)),
    )


def _ensure(
    api: Api, request: SparkRequest, tell: Callable[[str], None], wait: Callable[[float], None]
) -> str:
    """Make the Job and return its uid; or that of one of its name, if it has not ended."""
    account = api.get(f"/api/v1/namespaces/{request.namespace}/serviceaccounts/{request.service_account}")
    if account is None:
        raise NoSparkAccount(
            f"the ServiceAccount {request.namespace}/{request.service_account} does not exist: it comes "
            "with a pipeline that has spec.batch (docs/batch.md)"
        )
    # The account is the pipeline's, and goes with it: so does the Job.
    body = spark_job(request, {"apiVersion": "v1", "kind": "ServiceAccount", **account})
    jobs = _jobs(request)
    path = f"{jobs}/{request.job_name}"
    while True:
        made = api.create(jobs, body)
        if made is not None:
            tell(f"{request.job_name}: made, for {len(request.indicators)} indicators over {request.lake}")
            return str(made["metadata"]["uid"])
        job = api.get(path)
        if job is not None and "deletionTimestamp" not in job["metadata"]:
            if _ended(job) is None:
                tell(f"{request.job_name}: is there already")
                return str(job["metadata"]["uid"])
            # What it left is not what was asked for, or nobody would ask again.
            api.delete(path, job["metadata"]["uid"])
        wait(_POLL_SECONDS)


def _jobs(request: SparkRequest) -> str:
    return f"/apis/batch/v1/namespaces/{request.namespace}/jobs"


def _ended(job: Object) -> tuple[str, str] | None:
    """Return Complete or Failed, and why; None while it goes on."""
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return condition["type"], condition.get("message") or condition.get("reason", "")
    return None


def _pods(api: Api, request: SparkRequest, uid: str) -> list[Object]:
    """Return the Job's drivers, oldest first."""
    path = f"/api/v1/namespaces/{request.namespace}/pods"
    found = api.get(path, {"labelSelector": f"batch.kubernetes.io/controller-uid={uid}"})
    pods: list[Object] = [] if found is None else found["items"]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _state(api: Api, request: SparkRequest, job: Object) -> str:
    """Return where the newest driver is, in words."""
    drivers = _pods(api, request, job["metadata"]["uid"])
    failed = int(job.get("status", {}).get("failed", 0))
    after = f" (after {failed} that failed)" if failed else ""
    if not drivers:
        return f"waits for a driver{after}"
    pod = drivers[-1]
    name, phase = pod["metadata"]["name"], pod.get("status", {}).get("phase", "Pending")
    if phase != "Running":
        return f"driver {name} is {phase}{_reason(pod)}{after}"
    path = f"/api/v1/namespaces/{request.namespace}/pods/{name}/log"
    log = api.text(path, {"tailLines": str(_TAIL_LINES)}) or ""
    progress = [one["progress"] for one in _objects(log) if "progress" in one]
    if not progress:
        return f"driver {name} starts{after}"
    done, of = progress[-1]["done"], progress[-1]["of"]
    return f"driver {name}: {done} of {of} tasks done{after}"


def _reason(pod: Object) -> str:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f", {condition.get('message', 'not scheduled')}"
    for container in pod.get("status", {}).get("containerStatuses") or ():
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating"):
            return f", {waiting['reason']}: {waiting.get('message', '')}"
    return ""


def _objects(text: str) -> Iterator[Object]:
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:  # cut off where the tail begins
                continue


def _last_words(drivers: list[Object]) -> dict[str, Any]:
    """Return the report of the last driver that left one."""
    for pod in reversed(drivers):
        for container in pod.get("status", {}).get("containerStatuses") or ():
            message = container.get("state", {}).get("terminated", {}).get("message")
            for said in _objects(message or ""):
                return said
    return {}
