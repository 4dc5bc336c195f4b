"""What the API server says of resources: the CRD's rules have the same words there as in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from cluster.shell import CommandError
from stockpipeline.api import StockPipelineSpec, parse_document
from stockpipeline.api.crd import custom_resource_definition
from stockpipeline_operator.kube.client import ApiError
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from tests.integration.operator.harness import REPO, Cluster, pipeline
from tests.integration.operator.refusals import OF_A_CHANGE, OF_A_SPEC, REPLAY


@pytest.mark.parametrize(("change", "message"), OF_A_SPEC, ids=[message for _, message in OF_A_SPEC])
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


@pytest.mark.parametrize(
    ("before", "change", "message"), OF_A_CHANGE, ids=[message for _, _, message in OF_A_CHANGE]
)
def test_what_cannot_change_is_refused(
    cluster: Cluster, rights: object, before: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    cluster.client.create(STOCK_PIPELINE.path("default"), pipeline("fixed", suspend=True, **before))
    try:
        with pytest.raises(ApiError, match=message):
            cluster.edit("fixed", change)
    finally:
        cluster.delete("fixed")


def test_every_rule_of_the_definition_is_tried() -> None:
    tried = [message for _, message in OF_A_SPEC] + [message for _, _, message in OF_A_CHANGE]
    (version,) = custom_resource_definition()["spec"]["versions"]
    for sentence in set(_sentences(version["schema"]["openAPIV3Schema"]["properties"]["spec"])):
        assert any(re.search(message, sentence) for message in tried), f"nothing tries: {sentence}"


def _sentences(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (rule["message"] for rule in node.get("x-kubernetes-validations", ()))
        for child in node.values():
            yield from _sentences(child)


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
