"""The models: defaults, what they refuse, and the way through pipeline.json."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from stockpipeline.api import (
    DEFAULT_INDICATORS,
    DEFAULT_RULES,
    PipelineConfig,
    PipelineNames,
    StockPipelineSpec,
    Topic,
    duration,
    parse_document,
    quantity,
    resolve,
)
from stockpipeline.indicators.catalog import Layout
from stockpipeline.signals.rules import compile_rule

EXAMPLES = Path(__file__).parents[3] / "examples"
SMALLEST: dict[str, Any] = {
    "universe": {"symbols": ["AAPL"]},
    "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
}


def resource(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": "demo", "namespace": "desk", "uid": "ignored"},
        "spec": SMALLEST | spec,
    }


def test_defaults() -> None:
    spec = StockPipelineSpec.model_validate(SMALLEST)
    assert spec.suspend is False
    assert spec.kafka.partitions == 4
    assert [indicator.name for indicator in spec.indicators] == ["rsi14", "macd", "bb"]
    assert [rule.name for rule in spec.rules][-4:] == [
        "recommend-strong-buy", "recommend-buy", "recommend-sell", "recommend-strong-sell",
    ]  # fmt: skip
    assert len(spec.rules) == 10
    assert spec.sources[0].replay is not None
    assert spec.sources[0].replay.speed == 6000


def test_the_default_rules_are_rules_over_the_default_indicators() -> None:
    slots = Layout.of(DEFAULT_INDICATORS).slots
    for rule in DEFAULT_RULES:
        compile_rule(rule, slots)


def test_the_config_survives_the_way_through_json() -> None:
    config = parse_document(
        resource(indicators=[{"name": "e", "function": "EMA", "parameters": {"timeperiod": 5}}])
    )
    assert PipelineConfig.model_validate_json(config.to_json()) == config
    assert (
        config.to_json()
        == parse_document(
            resource(indicators=[{"parameters": {"timeperiod": 5}, "function": "EMA", "name": "e"}])
        ).to_json()
    )


def test_what_the_resource_names_wins_over_the_defaults() -> None:
    spec = StockPipelineSpec.model_validate(SMALLEST | {"kafka": {"bootstrapServers": "mine:9092"}})
    config = resolve(
        "desk", "demo", spec, default_bootstrap_servers="other:1", default_redis_url="redis://other:1/0"
    )
    assert config.bootstrap_servers == "mine:9092"
    assert config.redis_url == "redis://other:1/0"


def test_a_service_reads_the_config_of_a_newer_operator() -> None:
    config = parse_document(resource())
    wire = json.loads(config.to_json())
    wire["spec"]["bars"]["gaps"] = "fill"
    wire["spec"]["weather"] = {"sunny": True}
    assert parse_document(wire) == config


def test_what_only_the_operator_reads_does_not_change_what_services_read() -> None:
    ours = {
        "suspend": True,
        "rollout": {"window": "OutsideSession"},
        "producer": {"env": [{"name": "A", "value": "1"}]},
        "universe": {**SMALLEST["universe"], "collect": {}},
    }
    assert parse_document(resource(**ours)).to_json() == parse_document(resource()).to_json()
    assert parse_document(resource(bars={"interval": "5m"})).to_json() != parse_document(resource()).to_json()


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("90m", 5400), ("2h", 7200), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["1", "5w", "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "number"), [("500m", "0.5"), ("2", "2"), ("1.5Gi", "1610612736"), ("1k", "1000")]
)
def test_quantities(text: str, number: str) -> None:
    assert quantity(text) == Decimal(number)


def test_a_config_without_endpoints_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"spec\.kafka\.bootstrapServers is not set"):
        PipelineConfig.model_validate({"namespace": "desk", "name": "demo", "spec": SMALLEST})


@pytest.mark.parametrize("kind", [("v1", "ConfigMap"), ("stockpipeline.dev/v2", "StockPipeline")])
def test_another_kind_of_document_is_refused_by_name(kind: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=f"the document has {kind[0]}, {kind[1]}"):
        parse_document(resource() | {"apiVersion": kind[0], "kind": kind[1]})


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="tickPerBar"):
        parse_document(resource(sources=[{"name": "r", "replay": {"start": "2004-01-02", "tickPerBar": 4}}]))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_of_the_form_that_the_models_ask_for(path: Path) -> None:
    parse_document(yaml.safe_load(path.read_text()))


def test_names() -> None:
    names = PipelineNames("desk", "demo")
    assert names.topics[Topic.DEAD_LETTER] == "desk.demo.dead-letter"
    assert names.consumer_group == "desk.demo.detector"
    assert names.history_key("AAPL", "d1") == "desk.demo:history:AAPL:d1"
    assert [topic for topic in Topic if topic.compacted] == [Topic.PERFORMANCE, Topic.STATE]
    assert not any(
        name.startswith(names.prefix + ".") for name in PipelineNames("desk", "demo-2").topics.values()
    )
