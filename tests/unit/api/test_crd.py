"""The CRD: the committed file is what the models give, and what Kubernetes accepts and users can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel

from stockpipeline.api import crd

COMMITTED = Path(__file__).parents[3] / "charts" / "stockpipeline-operator" / "templates" / "crd.yaml"
ALLOWED = {
    "type", "description", "default", "properties", "required", "items", "enum", "format",
    "additionalProperties",
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
}  # fmt: skip


def committed() -> str:
    """The chart's template without the condition around it."""
    first, *lines, last = COMMITTED.read_text().splitlines(keepends=True)
    assert (first, last) == ("{{- if .Values.crd.install }}\n", "{{- end }}\n"), "run `make generate`"
    return "".join(lines)


def schema() -> dict[str, Any]:
    (version,) = crd.custom_resource_definition()["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for member in ("items", "additionalProperties"):
        if member in node:
            yield from nodes(node[member], f"{path}[]")


def test_the_committed_file_is_what_the_models_give() -> None:
    assert committed() == crd.render(), "run `make generate`"


def test_it_is_a_valid_definition() -> None:
    kubernetes_validate.validate(crd.custom_resource_definition(), "1.34", strict=True)


def test_it_stays_when_the_operator_is_uninstalled() -> None:
    annotations = yaml.safe_load(committed())["metadata"]["annotations"]
    assert annotations["helm.sh/resource-policy"] == "keep"


def test_it_fits_into_an_annotation_and_is_no_template() -> None:
    text = committed()
    assert len(text.encode()) < 200_000
    assert "{{" not in text, "Helm would take it for a template"


def test_the_schema_is_structural() -> None:
    for path, node in nodes(schema()):
        assert set(node) <= ALLOWED, path
        assert isinstance(node.get("type"), str), path
        assert not ("properties" in node and "additionalProperties" in node), path


def test_every_field_says_what_it_is_for() -> None:
    for path, node in nodes(schema()):
        if path in ("", ".metadata") or path.endswith("[]"):
            continue
        description = node.get("description", "")
        assert len(description) > 10, path
        assert description.endswith("."), path


def test_whatever_a_rule_looks_at_is_bounded() -> None:
    """Unbounded strings and lists let the API server refuse the CRD for the cost of its rules."""
    for path, node in nodes(schema()["properties"]["spec"]):
        if node["type"] == "string" and "enum" not in node and "format" not in node:
            assert "maxLength" in node, path
        if node["type"] == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_a_union_is_refused_instead_of_written_wrongly() -> None:
    class Union(BaseModel):
        field: int | str

    with pytest.raises(TypeError, match="not expressible"):
        crd.structural_schema(Union)
