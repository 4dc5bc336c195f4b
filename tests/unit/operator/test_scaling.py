"""What the chart is told about the number of detectors."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

from stockpipeline.api import StockPipelineSpec, resolve
from stockpipeline_operator.reconcile.values import release_values

SPEC: dict[str, Any] = {
    "universe": {"symbols": ["IBM"], "exchange": "XNAS"},
    "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
}


BASE = MagicMock()
BASE.settings.services_resources = {}
BASE.settings.services_pull_secrets = ()
BASE.chart.defaults = {}


def _scaling(scaling: dict[str, Any]) -> Any:
    config = resolve(
        "desk",
        "demo",
        StockPipelineSpec.model_validate(SPEC | {"scaling": scaling}),
        default_bootstrap_servers="kafka:9092",
        default_redis_url="redis://redis:6379/0",
    )
    return release_values(config, "uid", BASE).get("scaling")


def test_the_number_of_detectors_is_passed_on_where_it_is_asked_for() -> None:
    assert _scaling({}) is None
    assert _scaling({"detector": {"replicas": 3}}) == {"detector": {"replicas": 3}}


def test_the_number_of_producers_is_passed_on_where_it_is_asked_for() -> None:
    asked = {"producer": {"replicas": 2}, "detector": {"replicas": 3}}
    assert _scaling(asked) == asked
    assert _scaling({"producer": {"replicas": 1}}) is None


def test_an_autoscaler_is_told_where_the_lag_is() -> None:
    assert _scaling({"detector": {"autoscaling": {"maxReplicas": 4}}}) == {
        "detector": {
            "autoscaling": {
                "minReplicas": 1,
                "maxReplicas": 4,
                "lagRecords": 10_000,
                "kafka": {
                    "bootstrapServers": "kafka:9092",
                    "consumerGroup": "desk.demo.detector",
                    "topic": "desk.demo.ticks",
                },
            }
        }
    }
