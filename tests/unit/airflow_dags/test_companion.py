"""What the companion brings to Airflow, and what it tells of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from airflow_dags.airflow_api import AirflowApi, AirflowUnavailable
from airflow_dags.discovery import Discovery, described
from airflow_dags.kube import Kube, KubeError
from airflow_dags.pause import bring_to
from airflow_dags.pipeline import BatchPipeline, Pods
from airflow_dags.probes import Probes
from airflow_dags.record import RunRecord
from tests.unit.airflow_dags.conftest import FakeKube, Object

PIPELINES = "/apis/stockpipeline.dev/v1alpha1/stockpipelines"
BATCH = {
    "name": "nasdaq",
    "exchange": "XNAS",
    "config": "/etc/stockpipeline/pipeline.json",
    "lake": "/var/lib/stockpipeline/batch/lake",
    "replica": "/var/lib/stockpipeline/batch/replica",
    "store": "file:///var/lib/stockpipeline/store/generations",
    "suspend": False,
}


def config_map(namespace: str = "default", **batch: object) -> Object:
    metadata = {
        "name": "nasdaq-batch",
        "namespace": namespace,
        "uid": "7",
        "creationTimestamp": "2026-11-20T18:00:00Z",
    }
    pod = yaml.safe_dump({"metadata": {"labels": {}}, "spec": {"containers": [{"name": "step"}]}})
    return {"metadata": metadata, "data": {"batch.json": json.dumps({**BATCH, **batch}), "pod.yaml": pod}}


class Cluster:
    def __init__(self, fake: FakeKube) -> None:
        self.fake = fake
        self.version = 0
        fake.objects[PIPELINES] = {"items": []}

    def has(self, namespace: str = "default", *, batch: Object | None = None, **described: object) -> None:
        self.version += 1
        metadata = {"name": "nasdaq", "namespace": namespace, "resourceVersion": str(self.version)}
        spec = {"batch": {}} if batch is None else batch
        items = [
            one for one in self.fake.objects[PIPELINES]["items"] if one["metadata"]["namespace"] != namespace
        ]
        self.fake.objects[PIPELINES]["items"] = [*items, {"metadata": metadata, "spec": spec}]
        self.fake.objects[self.path(namespace)] = config_map(namespace, **described)

    @staticmethod
    def path(namespace: str = "default") -> str:
        return f"/api/v1/namespaces/{namespace}/configmaps/nasdaq-batch"


@pytest.fixture
def cluster(fake: FakeKube) -> Cluster:
    return Cluster(fake)


@pytest.fixture
def discovery(kube: Kube, tmp_path: Path) -> Discovery:
    (tmp_path / "batches").mkdir()
    return Discovery(kube, tmp_path / "batches")


def files(tmp_path: Path) -> dict[str, BatchPipeline]:
    return {
        path.name: BatchPipeline.model_validate_json(path.read_bytes())
        for path in (tmp_path / "batches").iterdir()
    }


def test_a_pipeline_comes_changes_and_goes(cluster: Cluster, discovery: Discovery, tmp_path: Path) -> None:
    cluster.has()
    discovery.bring()
    (found,) = files(tmp_path).values()
    assert (found.name, found.daily, found.suspend) == ("nasdaq", "nasdaq_daily_pipeline", False)
    assert found.start.isoformat() == "2026-11-20", "the day on which the batch was added"
    cluster.has(suspend=True)
    discovery.bring()
    assert files(tmp_path)["default.nasdaq.json"].suspend
    cluster.has(batch={"batch": None})
    assert discovery.bring() == []
    assert files(tmp_path) == {}


def test_what_has_not_changed_is_not_read_again(cluster: Cluster, discovery: Discovery) -> None:
    cluster.has()
    discovery.bring()
    cluster.fake.refused.add(cluster.path())
    assert len(discovery.bring()) == 1


def test_names_in_other_namespaces_do_not_meet(
    cluster: Cluster, discovery: Discovery, tmp_path: Path
) -> None:
    cluster.has()
    cluster.has("desk")
    discovery.bring()
    assert {one.daily for one in files(tmp_path).values()} == {
        "nasdaq_daily_pipeline",
        "desk.nasdaq_daily_pipeline",
    }


def test_a_release_that_is_not_there_yet_is_waited_for(cluster: Cluster, discovery: Discovery) -> None:
    cluster.has()
    made = cluster.fake.objects.pop(cluster.path())
    assert discovery.bring() == []
    cluster.fake.refused.add(cluster.path())
    assert discovery.bring() == [], "the right to read it comes with it"
    cluster.fake.refused.clear()
    cluster.fake.objects[cluster.path()] = made
    assert len(discovery.bring()) == 1


def test_nonsense_of_one_pipeline_leaves_the_others(cluster: Cluster, discovery: Discovery) -> None:
    cluster.has(exchange=7)
    cluster.has("desk")
    assert [one.prefix for one in discovery.bring()] == ["desk.nasdaq"]


def test_files_stay_while_the_api_server_is_away(
    cluster: Cluster, discovery: Discovery, tmp_path: Path
) -> None:
    cluster.has()
    discovery.bring()
    cluster.fake.refused.add(PIPELINES)
    with pytest.raises(KubeError, match="403 forbidden"):
        discovery.bring()
    assert list(files(tmp_path)) == ["default.nasdaq.json"]


def test_a_first_session_that_is_wished_for_counts() -> None:
    assert described(config_map(start="2026-11-02")).start.isoformat() == "2026-11-02"


class Dags:
    def __init__(self, **paused: bool) -> None:
        self.states = dict(paused)
        self.calls: list[tuple[str, bool]] = []

    def paused(self, tag: str) -> dict[str, bool]:
        assert tag == "stockpipeline"
        return dict(self.states)

    def pause(self, dag: str, paused: bool) -> None:
        self.calls.append((dag, paused))
        self.states[dag] = paused


def test_dags_are_paused_with_their_pipeline() -> None:
    dags = Dags(nasdaq_daily_pipeline=False, nasdaq_watchlist_sync=True, other_daily_pipeline=False)
    suspended = described(config_map(suspend=True))
    bring_to(dags, [suspended])
    bring_to(dags, [suspended])
    assert dags.calls == [("nasdaq_daily_pipeline", True)]
    bring_to(dags, [described(config_map())])
    assert dags.calls[1:] == [("nasdaq_daily_pipeline", False), ("nasdaq_watchlist_sync", False)]


def test_a_dag_that_airflow_does_not_know_yet_is_left_for_later() -> None:
    dags = Dags()
    bring_to(dags, [described(config_map(suspend=True))])
    assert dags.calls == []


class Airflow(AirflowApi):
    def __init__(self, health: dict[str, str | None] | None) -> None:
        super().__init__("http://127.0.0.1:1")
        self.state = health

    def health(self) -> dict[str, str | None]:
        if self.state is None:
            raise AirflowUnavailable("refused")
        return self.state


@pytest.mark.parametrize(
    ("health", "path", "status"),
    [
        (None, "/readyz", 503),
        (None, "/healthz/api", 503),
        (None, "/livez/api", 503),
        (None, "/healthz/scheduler", 503),
        (None, "/livez/scheduler", 200),
        ({"scheduler": "unhealthy", "dag_processor": "healthy"}, "/livez/scheduler", 503),
        ({"scheduler": "unhealthy", "dag_processor": "healthy"}, "/healthz/dag_processor", 200),
        ({"scheduler": None, "dag_processor": None}, "/healthz/api", 200),
        ({"scheduler": None, "dag_processor": None}, "/livez/dag_processor", 503),
        ({}, "/healthz/triggerer", 404),
        ({}, "/", 404),
    ],
)
def test_the_kubelet_is_told_what_is_known(
    health: dict[str, str | None] | None, path: str, status: int
) -> None:
    probes = Probes(Airflow(health), port=0)
    try:
        assert probes.answer(path)[0] == status
    finally:
        probes.close()


def test_prometheus_is_told_too() -> None:
    with Probes(Airflow({"scheduler": "healthy", "dag_processor": "unhealthy"}), port=0) as probes:
        probes.read(3)
        assert probes.answer("/readyz")[0] == 200
        lines = probes.answer("/metrics")[1].splitlines()
    assert 'stockpipeline_airflow_healthy{part="scheduler"} 1' in lines
    assert 'stockpipeline_airflow_healthy{part="dag_processor"} 0' in lines
    assert "stockpipeline_airflow_pipelines 3" in lines


class TestRecord:
    PATH = "/api/v1/namespaces/desk/configmaps/nasdaq-batch-run"

    @pytest.fixture
    def record(self, fake: FakeKube, kube: Kube, pods: Pods) -> RunRecord:
        fake.objects[self.PATH] = {"metadata": {}}
        return RunRecord(lambda: kube, pods)

    def data(self, fake: FakeKube) -> Object:
        return {
            name: text if name == "newest" else json.loads(text)
            for name, text in fake.objects[self.PATH]["data"].items()
        }

    def test_a_run_that_succeeds(self, record: RunRecord, fake: FakeKube) -> None:
        record.begin("one", "2026-11-20")
        assert self.data(fake)["running"]["session"] == "2026-11-20"
        record.succeed("one", "2026-11-20")
        found = self.data(fake)
        assert found.keys() == {"last", "newest"}
        assert (found["last"]["ok"], found["newest"]) == (True, "2026-11-20")

    def test_a_run_that_ends_says_when_it_began(self, record: RunRecord, fake: FakeKube) -> None:
        record.begin("one", "2026-11-20")
        since = self.data(fake)["running"]["since"]
        record.succeed("its sync", "2026-11-20")
        assert self.data(fake)["last"]["since"] == since
        record.begin("two", "2026-11-23")
        record.succeed("a sync by hand", "2026-11-20")
        assert "since" not in self.data(fake)["last"], "another session's run"

    def test_each_step_and_part_of_one_says_how_long_it_took(self, record: RunRecord, fake: FakeKube) -> None:
        record.begin("one", "2026-11-20")
        record.took("download_ohlcv", 0, 40.04)
        record.took("download_ohlcv", 1, 65.0)
        record.took("coverage_gate", -1, 2.0)
        found = {name: value for name, value in self.data(fake).items() if name != "running"}
        assert found == {
            "seconds.download_ohlcv.0": 40.0,
            "seconds.download_ohlcv.1": 65.0,
            "seconds.coverage_gate": 2.0,
        }
        record.begin("two", "2026-11-23")
        assert self.data(fake).keys() == {"running"}, "the steps of the run before"

    def test_a_session_of_the_past_is_not_the_newest(self, record: RunRecord, fake: FakeKube) -> None:
        record.succeed("one", "2026-11-20")
        record.succeed("two", "2026-03-02")
        found = self.data(fake)
        assert (found["last"]["session"], found["newest"]) == ("2026-03-02", "2026-11-20")

    def test_the_first_failure_of_a_run_counts(self, record: RunRecord, fake: FakeKube) -> None:
        record.begin("one", "2026-11-20")
        record.fail("one", "2026-11-20", "collect_symbols", OSError("URLError: no route"))
        record.fail("one", "2026-11-20", "coverage_gate", OSError("StepMissing: no symbols"))
        last = self.data(fake)["last"]
        assert (last["task"], last["error"], last["message"]) == ("collect_symbols", "URLError", "no route")
        record.begin("one", "2026-11-20")
        record.fail("one", "2026-11-20", "coverage_gate", OSError("CoverageTooLow: 9 of 10"))
        assert self.data(fake)["last"]["task"] == "coverage_gate"

    def test_an_error_without_a_name_has_that_of_its_class(self, record: RunRecord, fake: FakeKube) -> None:
        record.fail("one", "2026-11-20", "scan_watchlist", KeyError("x"))
        assert self.data(fake)["last"]["error"] == "KeyError"
