"""Makes docs/fields.md from the models: `python -m stockpipeline.api.fields` prints it."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from stockpipeline.api.crd import Schema, structural_schema
from stockpipeline.api.spec import StockPipelineSpec
from stockpipeline.api.status import StockPipelineStatus

_HEAD = """\
# Fields of a StockPipeline

Written by `make generate` from the definition that the API server checks; a test compares the two.
`kubectl explain stockpipeline.spec --recursive` says the same. **Bold** fields are required where the object
that they belong to is there. `[]` is a list, `{}` an object with names of your own.
"""
_TABLE = "| field | type | default | what it is |\n|---|---|---|---|\n"
_LONGEST_DEFAULT = 60


def render() -> str:
    """The page as Markdown; the same models always give the same text."""
    spec, status = structural_schema(StockPipelineSpec), structural_schema(StockPipelineStatus)
    fields = spec["properties"]
    plain = [name for name, node in fields.items() if node["type"] not in ("object", "array")]
    parts = [_HEAD, *_section("spec", spec, plain)]
    for name in fields:
        if name not in plain:
            parts += _section(f"spec.{name}", spec, [name])
    parts.append(
        "## What fields must be to one another\n\n" + "".join(f"- {text}\n" for text in _rules(spec))
    )
    parts.append("## status\n\n" + _TABLE + "".join(_rows(status, "status")))
    return "\n".join(parts)


def _section(title: str, spec: Schema, names: Sequence[str]) -> Iterator[str]:
    shown = {name: spec["properties"][name] for name in names}
    yield f"## {title}\n\n" + _TABLE + "".join(_rows({**spec, "properties": shown}, "spec"))
    rules = [text for field in shown.values() for node in _nodes(field) for text in _rules(node)]
    if rules:
        yield "".join(f"- {text}\n" for text in dict.fromkeys(rules))


def _rows(schema: Schema, path: str) -> Iterator[str]:
    for name, node in schema["properties"].items():
        required = name in schema.get("required", ())
        field = f"{path}.{name}".partition(".")[2]
        shown = f"**`{field}`**" if required else f"`{field}`"
        text = node.get("description", "").replace("|", "\\|")
        yield f"| {shown} | {_type(node)} | {_default(node)} | {text} |\n"
        below, suffix = _below(node)
        if below is not None:
            yield from _rows(below, f"{path}.{name}{suffix}")


def _nodes(node: Schema) -> Iterator[Schema]:
    yield node
    for child in node.get("properties", {}).values():
        yield from _nodes(child)
    for member in ("items", "additionalProperties"):
        if member in node:
            yield from _nodes(node[member])


def _below(node: Schema) -> tuple[Schema | None, str]:
    """The object whose fields come next, and what stands between the names."""
    for member, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if member in node:
            child, more = _below(node[member])
            return child, f"{suffix}{more}"
    return (node, "") if "properties" in node else (None, "")


def _type(node: Schema) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "items" in node:
        return f"list of {_type(node['items'])}{_bounds(node, 'minItems', 'maxItems')}"
    if "additionalProperties" in node:
        return f"map to {_type(node['additionalProperties'])}{_bounds(node, '', 'maxProperties')}"
    return f"{node.get('format', node['type'])}{_bounds(node, 'minimum', 'maximum')}"


def _bounds(node: Schema, least: str, most: str) -> str:
    lower, upper = node.get(least), node.get(most)
    if lower is None:
        return "" if upper is None else f", at most {upper}"
    return f", at least {lower}" if upper is None else f", {lower} to {upper}"


def _default(node: Schema) -> str:
    if "default" not in node:
        return ""
    text = json.dumps(node["default"], ensure_ascii=False)
    if len(text) <= _LONGEST_DEFAULT:
        return f"`{text}`"
    # Of an object that is left out; its fields have the same defaults, a line each.
    return "as below" if "properties" in node else "as described"


def _rules(node: Schema) -> list[str]:
    found: list[dict[str, Any]] = node.get("x-kubernetes-validations", [])
    return [one["message"] for one in found]


if __name__ == "__main__":
    sys.stdout.write(render())
