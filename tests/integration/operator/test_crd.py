"""What the API server says of resources: the CRD's rules have the same words there as in Python."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cluster.shell import CommandError
from stockpipeline.api import StockPipelineSpec, parse_document
from stockpipeline_operator.kube.client import ApiError
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from tests.integration.operator.harness import REPO, Cluster, pipeline

REPLAY = {"start": "2004-01-02"}
BAD_SPECS: list[tuple[dict[str, Any], str]] = [
    ({"universe": {"symbols": ["aapl"]}}, "a symbol is 1 to 16 characters"),
    ({"universe": {"symbols": ["IBM", "IBM"]}}, "Duplicate value"),
    ({"sources": [{"name": "replay"}]}, "a source needs a kind: replay"),
    ({"sources": [{"name": "Replay", "replay": REPLAY}]}, "a source's name is made of"),
    (
        {"sources": [{"name": "replay", "replay": {"start": "2004-01-02", "end": "2003-12-31"}}]},
        "replay.end must not be before replay.start",
    ),
    ({"kafka": {"bootstrapServers": "kafka"}}, "kafka.bootstrapServers must be HOST:PORT"),
    ({"redis": {"url": "redis://user:secret@host"}}, "without a user or password"),
    (
        {"indicators": [{"name": "close", "function": "RSI"}]},
        "an indicator cannot have the name of a bar field",
    ),
    ({"indicators": [{"name": "lambda", "function": "RSI"}]}, "or of a Python keyword"),
    ({"indicators": [{"name": "Rsi", "function": "RSI"}]}, "an indicator's name is made of"),
    ({"indicators": [{"name": "rsi", "function": "rsi"}]}, "function is the upper-case name"),
    (
        {"indicators": [{"name": "rsi", "function": "RSI"}, {"name": "rsi", "function": "ADX"}]},
        "Duplicate value",
    ),
    ({"rules": [{"name": "r_1", "side": "buy", "when": "close > 1"}]}, "a rule's name is made of"),
]


@pytest.mark.parametrize(("change", "message"), BAD_SPECS, ids=[message for _, message in BAD_SPECS])
def test_the_api_server_and_the_models_refuse_alike(
    cluster: Cluster, rights: object, change: dict[str, Any], message: str
) -> None:
    resource = pipeline("refused", **change)
    with pytest.raises(ApiError, match=message):
        cluster.client.create(STOCK_PIPELINE.path("default"), resource)
    with pytest.raises(ValidationError, match=message):
        parse_document(resource)


@pytest.mark.parametrize("name", ["a.b", "1st", "x" * 54, "default"])
def test_names_that_cannot_name_topics_are_refused(cluster: Cluster, rights: object, name: str) -> None:
    with pytest.raises(ApiError, match=r"metadata\.name must be at most 53 characters .* not be 'default'"):
        cluster.client.create(STOCK_PIPELINE.path("default"), pipeline(name))


def test_partitions_cannot_change(cluster: Cluster, rights: object) -> None:
    cluster.apply(pipeline("fixed", suspend=True, kafka={"partitions": 4}))
    with pytest.raises(ApiError, match=r"kafka\.partitions cannot change"):
        cluster.edit("fixed", {"kafka": {"partitions": 8}})


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": "another"}),
        ("replay.start", {"replay": {**REPLAY, "start": "2005-01-03"}}),
        ("replay.ticksPerBar", {"replay": {**REPLAY, "ticksPerBar": 7}}),
        ("replay.seed", {"replay": {**REPLAY, "seed": 2}}),
    ],
)
def test_what_numbers_the_ticks_cannot_change(
    cluster: Cluster, rights: object, field: str, change: dict[str, Any]
) -> None:
    source = {"name": "replay", "replay": REPLAY}
    cluster.apply(pipeline("numbered", suspend=True, sources=[source]))
    with pytest.raises(ApiError, match=f"{field} cannot change.*delete the pipeline and make it anew"):
        cluster.edit("numbered", {"sources": [{**source, **change}]})


def test_how_fast_and_how_far_a_replay_goes_may_change(cluster: Cluster, rights: object) -> None:
    cluster.apply(pipeline("steered", suspend=True, sources=[{"name": "replay", "replay": REPLAY}]))
    replay = {**REPLAY, "end": "2005-01-03", "speed": 1}
    cluster.edit("steered", {"sources": [{"name": "replay", "replay": replay}]})


def test_the_api_server_fills_in_the_same_defaults_as_the_models(cluster: Cluster, rights: object) -> None:
    resource = pipeline("defaulted", suspend=True, kafka={"bootstrapServers": None})
    stored = cluster.client.create(STOCK_PIPELINE.path("default"), resource)["spec"]
    expected = StockPipelineSpec.model_validate(resource["spec"])
    assert StockPipelineSpec.model_validate(stored) == expected
    assert stored == expected.to_wire(), "nothing is left for the models to add"


def test_a_misspelt_field_is_refused_by_kubectl(cluster: Cluster, rights: object) -> None:
    text = (REPO / "examples" / "replay.yaml").read_text().replace("symbols:", "symbol:")
    with pytest.raises(CommandError, match="unknown field"):
        cluster.server.kubectl("apply", "--filename", "-", input=text)


def test_every_field_is_explained(cluster: Cluster, rights: object) -> None:
    text = cluster.server.kubectl("explain", "stockpipeline.spec.rules.rearm")
    assert "makes the rule ready to signal again" in text
