"""Following Spark's Job: made once, taken up again, and never done before it is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.spark_run import NoSparkAccount, SparkFailed, SparkRun, run_on_spark
from tests.unit.batch.spark_requests import REQUEST

Object = dict[str, Any]
JOBS = "/apis/batch/v1/namespaces/desk/jobs"
JOB = f"{JOBS}/{REQUEST.job_name}"
ACCOUNT = "/api/v1/namespaces/desk/serviceaccounts/nasdaq-spark"
DONE = {"ok": True, "step": "compute", "parts": 64, "unchanged": 0, "rows": 5219, "pass_seconds": [4.0]}


class Cluster:
    """Kubernetes, as far as it is asked: objects by path; at each wait, the next thing happens."""

    def __init__(self, *events: Callable[[Cluster], None]) -> None:
        self.objects: dict[str, Object] = {ACCOUNT: {"metadata": {"name": "nasdaq-spark", "uid": "account"}}}
        self.pods: list[Object] = []
        self.log = ""
        self.made: list[Object] = []
        self.deleted: list[str] = []
        self._events = list(events)
        self._uids = count(1)

    def get(self, path: str, query: dict[str, str] | None = None) -> Object | None:
        if path.endswith("/pods"):
            assert query is not None
            uid = query["labelSelector"].partition("=")[2]
            return {"items": [pod for pod in self.pods if pod["owner"] == uid]}
        return self.objects.get(path)

    def text(self, path: str, query: dict[str, str] | None = None) -> str | None:
        return self.log

    def create(self, path: str, body: Object) -> Object | None:
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            return None
        made = {**body, "metadata": {**body["metadata"], "uid": f"uid-{next(self._uids)}"}}
        self.objects[path] = made
        self.made.append(made)
        return made

    def delete(self, path: str, uid: str) -> None:
        assert self.objects[path]["metadata"]["uid"] == uid
        del self.objects[path]
        self.deleted.append(uid)

    def wait(self, _seconds: float) -> None:
        assert self._events, "it waits for something that will not happen"
        self._events.pop(0)(self)

    def run(self) -> tuple[SparkRun, list[str]]:
        told: list[str] = []
        return run_on_spark(self, REQUEST, told.append, self.wait), told


def driver(phase: str, said: Object | None = None) -> Callable[[Cluster], None]:
    """A driver gets there; the one before it is gone for good."""

    def happens(cluster: Cluster) -> None:
        number = len(cluster.pods)
        made = f"2026-11-21T00:00:{number:02}Z"
        state = {"terminated": {"message": json.dumps(said)}} if said else {}
        cluster.pods.append(
            {
                "owner": cluster.objects[JOB]["metadata"]["uid"],
                "metadata": {
                    "name": f"driver-{number}",
                    "creationTimestamp": made,
                },
                "status": {"phase": phase, "containerStatuses": [{"name": "driver", "state": state}]},
            }
        )

    return happens


def ends(kind: str, failed: int = 0, message: str = "") -> Callable[[Cluster], None]:
    def happens(cluster: Cluster) -> None:
        condition = {"type": kind, "status": "True", "message": message}
        cluster.objects[JOB]["status"] = {"failed": failed, "conditions": [condition]}

    return happens


def logs(text: str) -> Callable[[Cluster], None]:
    def happens(cluster: Cluster) -> None:
        cluster.log = text

    return happens


def test_a_job_is_made_and_followed_to_its_end() -> None:
    cluster = Cluster(
        driver("Pending"),
        driver("Running"),
        logs('a warning of Java\n{"progress": {"done": 3, "of": 8}}\nanother\n'),
        driver("Succeeded", DONE),
        ends("Complete"),
    )
    done, told = cluster.run()
    assert done == SparkRun(REQUEST.job_name, parts=64, unchanged=0, rows=5219, drivers=1)
    assert [line.removeprefix(f"{REQUEST.job_name}: ") for line in told[1:]] == [
        "waits for a driver",
        "driver driver-0 is Pending",
        "driver driver-1 starts",
        "driver driver-1: 3 of 8 tasks done",
        "driver driver-2 is Succeeded",
    ]
    assert cluster.made[0]["metadata"]["ownerReferences"][0]["uid"] == "account"


def test_a_job_that_runs_is_not_made_again() -> None:
    cluster = Cluster(driver("Succeeded", DONE), ends("Complete"))
    running = cluster.create(JOBS, {"metadata": {"name": REQUEST.job_name}})
    done, told = cluster.run()
    assert cluster.made == [running]
    assert told[0].endswith("is there already")
    assert done.rows == 5219


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_job_that_has_ended_is_made_anew(kind: str) -> None:
    cluster = Cluster(lambda _: None, driver("Succeeded", DONE), ends("Complete"))
    cluster.create(JOBS, {"metadata": {"name": REQUEST.job_name}})
    ends(kind)(cluster)
    cluster.run()
    assert cluster.deleted == ["uid-1"]
    assert [job["metadata"]["uid"] for job in cluster.made] == ["uid-1", "uid-2"]


def test_a_job_that_is_being_deleted_is_waited_for() -> None:
    def is_gone(cluster: Cluster) -> None:
        del cluster.objects[JOB]

    cluster = Cluster(is_gone, driver("Succeeded", DONE), ends("Complete"))
    cluster.create(JOBS, {"metadata": {"name": REQUEST.job_name, "deletionTimestamp": "now"}})
    cluster.run()
    assert len(cluster.made) == 2
    assert cluster.deleted == []


def test_drivers_that_were_killed_are_counted() -> None:
    cluster = Cluster(driver("Running"), driver("Succeeded", DONE), ends("Complete", failed=1))
    assert cluster.run()[0].drivers == 2


def test_without_its_pods_a_complete_job_is_still_complete() -> None:
    assert Cluster(ends("Complete")).run()[0] == SparkRun(REQUEST.job_name, None, None, None, drivers=1)


def test_what_a_driver_found_broken_is_told_as_the_engine_local_tells_it() -> None:
    said = {"ok": False, "error": "BrokenPart", "message": "/data/lake/bars/part-07.parquet cannot be read"}
    cluster = Cluster(driver("Failed", said), ends("Failed", failed=1, message="exit code 3"))
    with pytest.raises(BrokenPart, match="part-07"):
        cluster.run()


def test_a_job_that_failed_says_why() -> None:
    cluster = Cluster(driver("Failed"), ends("Failed", failed=4, message="it has reached its backoff limit"))
    with pytest.raises(SparkFailed, match=rf"{REQUEST.job_name} failed \(it has reached its backoff limit\)"):
        cluster.run()


def test_a_job_that_somebody_deleted_is_not_done() -> None:
    def is_gone(cluster: Cluster) -> None:
        del cluster.objects[JOB]

    with pytest.raises(SparkFailed, match="was deleted while it ran"):
        Cluster(driver("Running"), is_gone).run()


def test_without_an_account_for_drivers_nothing_is_made() -> None:
    cluster = Cluster()
    del cluster.objects[ACCOUNT]
    with pytest.raises(NoSparkAccount, match="desk/nasdaq-spark"):
        cluster.run()
    assert cluster.made == []


def test_why_a_driver_does_not_start_is_told() -> None:
    def unschedulable(cluster: Cluster) -> None:
        driver("Pending")(cluster)
        condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}
        cluster.pods[-1]["status"]["conditions"] = [condition]

    _, told = Cluster(unschedulable, driver("Succeeded", DONE), ends("Complete")).run()
    assert told[2].endswith("driver driver-0 is Pending, 0/1 nodes: Insufficient memory")
