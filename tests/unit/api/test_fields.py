"""The page of all fields: the committed file is what the models give, and leaves nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stockpipeline.api import fields
from tests.unit.api.test_crd import schema

COMMITTED = Path(__file__).parents[3] / "docs" / "fields.md"


def names(node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths as the page writes them."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}{name}"
        yield from names(child, f"{path}{name}.")
    for member, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if member in node:
            yield from names(node[member], f"{path[:-1]}{suffix}.")


def test_the_committed_page_is_what_the_models_give() -> None:
    assert COMMITTED.read_text() == fields.render(), "run `make generate`"


def test_every_field_has_one_line() -> None:
    shown = re.findall(r"^\| \*{0,2}`([^`]+)`", fields.render(), re.MULTILINE)
    parts = schema()["properties"]
    assert sorted(shown) == sorted([*names(parts["spec"]), *names(parts["status"])])


def test_every_line_has_as_many_cells_as_its_table() -> None:
    for line in fields.render().splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, line


def test_every_rule_of_the_api_server_is_told() -> None:
    def messages(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (one["message"] for one in node.get("x-kubernetes-validations", ()))
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from messages(child)

    page = fields.render()
    told = set(messages(schema()["properties"]["spec"]))
    assert told
    assert [text for text in told if f"- {text}\n" not in page] == []
