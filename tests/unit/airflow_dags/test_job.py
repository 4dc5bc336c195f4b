"""A step as a Job: made once, followed, taken over once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_dags.job import Step, StepJob, last_report
from airflow_dags.kube import Kube
from airflow_dags.pipeline import Pods, SparkAccess
from tests.unit.airflow_dags.conftest import FakeKube, Object

JOBS = "/apis/batch/v1/namespaces/desk/jobs"
PODS = "/api/v1/namespaces/desk/pods"
STEP = Step(
    ("nasdaq_daily_pipeline", "run", "coverage_gate", "-1"), ("batch", "gate"), {"step": "coverage_gate"}
)


class Cluster:
    """Plays the controllers: each pause of the one who waits is a chance to do something."""

    def __init__(self, fake: FakeKube) -> None:
        self.fake = fake
        self.does: list[Callable[[], None]] = []
        self.pauses = 0

    def pause(self, _seconds: float) -> None:
        self.pauses += 1
        assert self.pauses < 20, "it waits for ever"
        if self.does:
            self.does.pop(0)()

    @property
    def job(self) -> tuple[str, Object]:
        ((path, job),) = [item for item in self.fake.objects.items() if item[0].startswith(JOBS)]
        return path, job

    def pod(self, name: str, phase: str, lines: list[str] | None = None, **status: object) -> None:
        found = self.fake.objects.setdefault(PODS, {"items": []})["items"]
        number = f"{len(found):02}"
        metadata = {"name": name, "uid": name, "creationTimestamp": f"2026-11-20T23:00:{number}Z"}
        found.append({"metadata": metadata, "status": {"phase": phase, **status}})
        if lines is not None:
            self.fake.logs[name] = lines

    def end(self, kind: str) -> None:
        self.job[1]["status"] = {
            "conditions": [{"type": kind, "status": "True", "reason": "r", "message": "m"}]
        }


@pytest.fixture
def cluster(fake: FakeKube) -> Cluster:
    return Cluster(fake)


def step_job(kube: Kube, pods: Pods, cluster: Cluster) -> StepJob:
    return StepJob(kube, pods, STEP, cluster.pause)


def test_a_step_is_run_and_its_lines_are_returned(kube: Kube, pods: Pods, cluster: Cluster) -> None:
    cluster.does = [
        lambda: cluster.pod("one", "Running", ["log", '{"ok": true}']),
        lambda: cluster.end("Complete"),
    ]
    assert step_job(kube, pods, cluster).run() == (True, ["log", '{"ok": true}'])
    _, job = cluster.job
    assert job["metadata"]["ownerReferences"] == [pods.owner]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["batch", "gate"]
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "stockpipeline.dev/pipeline": "nasdaq",
        "step": "coverage_gate",
    }


def test_only_the_step_that_computes_may_ask_for_spark(kube: Kube, pods: Pods, cluster: Cluster) -> None:
    access = SparkAccess(account="nasdaq-spark-submit", image="spark:1", volume="nasdaq-batch:/data")
    with_spark = pods.model_copy(update={"spark": access})

    def spec(pods: Pods, *words: str) -> Object:
        step = Step(("dag", "run", words[1], "-1"), words, {})
        found: Object = StepJob(kube, pods, step, cluster.pause).manifest()["spec"]["template"]["spec"]
        return found

    for step in ("download", "load"):
        assert spec(with_spark, "batch", step) == spec(pods, "batch", step)
    assert "serviceAccountName" not in spec(pods, "batch", "compute")
    found = spec(with_spark, "batch", "compute")
    assert (found["serviceAccountName"], found["automountServiceAccountToken"]) == (access.account, True)
    assert {one["name"]: one["value"] for one in found["containers"][0]["env"]} == {
        "STOCKPIPELINE_SPARK_IMAGE": "spark:1",
        "STOCKPIPELINE_SPARK_VOLUME": "nasdaq-batch:/data",
    }


def test_a_job_that_is_there_is_followed_and_no_second_one_made(
    kube: Kube, pods: Pods, cluster: Cluster, fake: FakeKube
) -> None:
    job = step_job(kube, pods, cluster)
    fake.answer("POST", JOBS, job.manifest())
    cluster.pod("one", "Succeeded", ['{"ok": true}'])
    cluster.end("Complete")
    assert job.run() == (True, ['{"ok": true}'])
    assert len(fake.created) == 1


def test_once_it_was_taken_over_the_next_run_makes_a_new_one(
    kube: Kube, pods: Pods, cluster: Cluster, fake: FakeKube
) -> None:
    for _ in range(2):
        cluster.does = [lambda: cluster.end("Complete")]
        assert step_job(kube, pods, cluster).run() == (True, [])
    assert len(fake.created) == 2
    assert fake.created[0]["metadata"]["name"] == fake.created[1]["metadata"]["name"]


def test_of_a_pod_that_was_killed_the_next_one_counts(kube: Kube, pods: Pods, cluster: Cluster) -> None:
    cluster.does = [
        lambda: cluster.pod("one", "Failed", ['{"ok": true, "n": 1}']),
        lambda: cluster.pod("two", "Running", ['{"ok": true, "n": 2}']),
        lambda: cluster.end("Complete"),
    ]
    assert step_job(kube, pods, cluster).run() == (True, ['{"ok": true, "n": 2}'])


def test_a_step_that_says_why_it_failed_is_not_tried_again_by_kubernetes(
    kube: Kube, pods: Pods, cluster: Cluster
) -> None:
    cluster.does = [
        lambda: cluster.pod("one", "Failed", ['{"ok": false, "error": "CoverageTooLow"}']),
        lambda: cluster.end("Failed"),
    ]
    assert step_job(kube, pods, cluster).run() == (False, ['{"ok": false, "error": "CoverageTooLow"}'])
    (ignored, final) = cluster.job[1]["spec"]["podFailurePolicy"]["rules"]
    assert ignored["action"] == "Ignore"
    assert final["action"] == "FailJob"
    assert final["onExitCodes"]["values"] == [1, 2]


def test_a_log_that_broke_off_is_read_again_at_the_end(
    kube: Kube, pods: Pods, cluster: Cluster, fake: FakeKube
) -> None:
    def end() -> None:
        fake.logs["one"].append('{"ok": true}')
        cluster.end("Complete")

    cluster.does = [lambda: cluster.pod("one", "Running", ["begins"]), end]
    assert step_job(kube, pods, cluster).run() == (True, ["begins", '{"ok": true}'])


def test_a_pod_that_is_gone_before_its_log_was_read_does_no_harm(
    kube: Kube, pods: Pods, cluster: Cluster
) -> None:
    cluster.does = [lambda: cluster.pod("one", "Running"), lambda: cluster.end("Complete")]
    assert step_job(kube, pods, cluster).run() == (True, [])


def test_what_keeps_a_pod_from_starting_is_told_once(
    kube: Kube, pods: Pods, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    cluster.does = [
        lambda: cluster.pod("one", "Pending", containerStatuses=[waiting]),
        lambda: None,
        lambda: cluster.end("Failed"),
    ]
    step_job(kube, pods, cluster).run()
    assert caplog.text.count("ErrImagePull: no such image") == 1


def test_a_job_that_was_deleted_is_no_success(kube: Kube, pods: Pods, cluster: Cluster) -> None:
    cluster.does = [lambda: cluster.fake.objects.pop(cluster.job[0]) and None]
    with pytest.raises(OSError, match="was deleted while it ran"):
        step_job(kube, pods, cluster).run()


def test_names_fit_also_of_the_longest_pipelines(kube: Kube, pods: Pods, cluster: Cluster) -> None:
    long = pods.model_copy(update={"owner": {**pods.owner, "name": "x" * 53 + "-batch"}})
    assert len(step_job(kube, long, cluster).name) <= 63


@pytest.mark.parametrize(
    ("lines", "report"),
    [
        ([], None),
        (["nothing"], None),
        (['{"event": "logged"}'], None),
        (['{"ok": true', "{"], None),
        (['{"ok": true}', '{"event": "stopped"}', "batch gate: why"], {"ok": True}),
        (['{"ok": true}', '{"ok": false}'], {"ok": False}),
    ],
)
def test_the_report_is_found_among_what_was_logged(lines: list[str], report: Object | None) -> None:
    assert last_report(lines) == report
