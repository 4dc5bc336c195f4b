"""What a spec and the operator's settings become in the chart's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stockpipeline.api import Resources, parse_document
from stockpipeline_operator.helm.chart import PipelineChart
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.values import merged_resources, release_values
from stockpipeline_operator.settings import Settings, SettingsError

CHART = Path(__file__).parents[3] / "charts" / "stockpipeline"
BASE = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


def settings(**changes: str) -> Settings:
    variables = {
        "CHART": str(CHART),
        "SERVICES_REPOSITORY": "localhost/services",
        "SERVICES_TAG": "1",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "REDIS_URL": "redis://redis:6379/0",
        "LEASE": "stockpipeline-system/stockpipeline-operator",
    }
    return Settings.from_environment(
        {f"STOCKPIPELINE_OPERATOR_{name}": value for name, value in (variables | changes).items()}
    )


def values(spec: dict[str, Any] | None = None, **changes: str) -> dict[str, Any]:
    resource = {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": "demo", "namespace": "desk"},
        "spec": {
            "universe": {"symbols": ["IBM"]},
            "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
            **(spec or {}),
        },
    }
    chart = PipelineChart(CHART)
    made = release_values(parse_document(resource), "uid", Base(settings(**changes), chart))
    chart.handle.validate_schema(made)
    return made


def test_what_nobody_asked_for_is_left_to_the_chart() -> None:
    assert values().keys() == {"base", "config", "suspend", "owner", "image"}


def test_what_a_component_asks_for_is_passed_on() -> None:
    asked = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"operator": "Exists"}],
        "image": "registry.example/services:2",
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    }
    made = values({"detector": {**asked, "resources": {"limits": {"cpu": "2"}}}})
    assert "producer" not in made
    assert made["detector"] == {
        **asked,
        "resources": {**BASE, "limits": {"cpu": "2", "memory": "512Mi"}},
    }


def test_a_store_and_its_replicas_are_passed_on() -> None:
    made = values({"store": {"resources": {"limits": {"memory": "2Gi"}}}})
    assert made["store"]["resources"]["limits"]["memory"] == "2Gi"
    assert (made["store"]["enabled"], made["store"]["size"], made["store"]["retain"]) == (True, "10Gi", False)
    assert "replica" not in made

    sync = {"replicas": 3, "placement": "Anywhere"}
    far = {**sync, "url": "s3://bucket/demo", "secretRef": {"name": "keys"}}
    near = values({"store": {"storageClassName": "fast"}, "replicaSync": sync, "deletionPolicy": "Retain"})
    assert near["replica"] == {
        "enabled": True, "replicas": 3, "placement": "Anywhere", "storeVolume": True
    }  # fmt: skip
    assert (near["store"]["storageClassName"], near["store"]["retain"]) == ("fast", True)
    made = values({"store": {}, "replicaSync": far})
    assert made["replica"]["storeVolume"] is False
    assert made["store"]["secret"] == "keys"


def test_the_level_of_the_logs_is_passed_on_where_it_is_not_the_usual_one() -> None:
    assert values({"logLevel": "Warning"})["logLevel"] == "warning"
    assert "logLevel" not in values({"logLevel": "Info"})
    assert values({"logLevel": "Debug"})["config"] == values({})["config"]


def test_where_traces_go_is_passed_on() -> None:
    made = values({"tracing": {"endpoint": "http://otel-collector.observability:4318"}})
    assert made["tracing"] == {"endpoint": "http://otel-collector.observability:4318", "ratio": 1.0}
    assert "tracing" not in values({})
    assert made["config"] == values({})["config"]


def test_a_change_restarts_only_what_reads_it() -> None:
    plain = values({"store": {}, "replicaSync": {}})
    more = values(
        {
            "store": {},
            "replicaSync": {"replicas": 5},
            "rules": [{"name": "r", "side": "buy", "when": "close > 1"}],
        }
    )
    assert more["store"]["config"] == plain["store"]["config"]
    assert more["config"] != plain["config"]
    for change in (
        {"store": {}, "replicaSync": {"schedule": {"pull": "1m"}}},
        {"store": {}, "replicaSync": {"retention": {"daily": 7}}},
        {"store": {}, "replicaSync": {"url": "s3://bucket/demo"}},
        {"store": {"history": {"signals": "365d"}}, "replicaSync": {}},
    ):
        other = values(change)
        assert other["store"]["config"] != plain["store"]["config"], change
        assert other["config"] == plain["config"], change


def test_what_the_operator_was_told_for_all_pipelines_is_passed_on() -> None:
    resources = '{"producer": {"requests": {"memory": "256Mi"}}}'
    made = values(SERVICES_PULL_SECRETS="a,b", SERVICES_RESOURCES=resources)
    assert made["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    assert made["producer"]["resources"]["requests"]["memory"] == "256Mi"


@pytest.mark.parametrize(
    ("layers", "memory"),
    [
        ([{"requests": {"memory": "1Gi"}}], ("1Gi", "1Gi")),
        ([{"requests": {"memory": "256Mi"}}], ("256Mi", "512Mi")),
        ([{"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}], ("1Gi", "2Gi")),
        ([{"limits": {"memory": "2Gi"}}, {"requests": {"memory": "1Gi"}}], ("1Gi", "2Gi")),
        ([{"requests": {"memory": "1Gi"}}, {"limits": {"memory": "64Mi"}}], ("64Mi", "64Mi")),
    ],
)
def test_resources_are_layers_and_never_contradict(
    layers: list[dict[str, Any]], memory: tuple[str, str]
) -> None:
    found = merged_resources(BASE, *(Resources.model_validate(layer) for layer in layers))
    assert (found["requests"]["memory"], found["limits"]["memory"]) == memory


def test_resources_that_make_no_sense_are_named() -> None:
    with pytest.raises(SettingsError, match=r"SERVICES_RESOURCES: producer\.limits\.memory: a quantity"):
        settings(SERVICES_RESOURCES='{"producer": {"limits": {"memory": "1GB"}}}')


def test_airflow_is_told_of_the_batch_in_its_own_words() -> None:
    parts: dict[str, Any] = {"sources": [{"name": "yahoo", "yahoo": {}}], "store": {}, "replicaSync": {}}
    assert "batch" not in values(parts)
    asked = {"schedule": {"afterClose": "90m", "start": "2026-11-02"}, "size": "2Gi", "image": "services:2"}
    found = values({**parts, "batch": asked})["batch"]
    assert found["dag"] == {
        "name": "demo",
        "exchange": "XNAS",
        "afterCloseSeconds": 5400.0,
        "config": "/etc/stockpipeline/pipeline.json",
        "lake": "/var/lib/stockpipeline/batch/lake",
        "replica": "/var/lib/stockpipeline/batch/replica",
        "store": "file:///var/lib/stockpipeline/store/generations",
        "start": "2026-11-02",
    }
    assert (found["size"], found["image"], found["storeVolume"]) == ("2Gi", "services:2", True)
    assert found["airflow"] == {"namespace": "stockpipeline-backends", "name": "airflow"}


def test_a_lake_in_an_object_store_has_its_copy_on_the_volume() -> None:
    parts = {"sources": [{"name": "yahoo", "yahoo": {}}], "store": {}, "replicaSync": {}}
    dag = values({**parts, "batch": {"lake": "s3://desk/lake"}})["batch"]["dag"]
    assert (dag["lake"], dag["lakeCache"]) == ("s3://desk/lake", "/var/lib/stockpipeline/batch/lake")


@pytest.mark.parametrize(
    ("engine", "image", "there"),
    [
        ("Auto", "spark:1", True),
        ("Spark", "spark:1", True),
        ("Local", "spark:1", False),
        ("Auto", "", False),
    ],
)
def test_spark_is_there_where_it_may_be_asked_for_and_has_an_image(
    engine: str, image: str, there: bool
) -> None:
    parts = {"sources": [{"name": "yahoo", "yahoo": {}}], "store": {}, "replicaSync": {}}
    found = values({**parts, "batch": {"engine": engine}}, SPARK_IMAGE=image)
    assert found.get("spark") == ({"enabled": True, "image": image} if there else None)


def test_generations_elsewhere_need_no_volume_of_the_store() -> None:
    parts = {"sources": [{"name": "yahoo", "yahoo": {}}], "store": {}, "batch": {}}
    found = values({**parts, "replicaSync": {"url": "s3://bucket/x"}}, AIRFLOW_ACCOUNT="data/worker")["batch"]
    assert (found["dag"]["store"], found["storeVolume"]) == ("s3://bucket/x", False)
    assert found["airflow"] == {"namespace": "data", "name": "worker"}
