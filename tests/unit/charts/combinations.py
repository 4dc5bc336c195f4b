"""Renders a chart with combinations of what can be chosen, and checks each object against its schema."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from helm_python import Chart
from jsonschema import Draft7Validator

KUBERNETES = "1.34"
# Kinds that Kubernetes does not come with: what their definitions ask for, and nothing else.
# https://keda.sh/docs/2.17/reference/scaledobject-spec/
_SCHEMAS: dict[str, Any] = {
    "ScaledObject": {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": "keda.sh/v1alpha1"},
            "spec": {
                "type": "object",
                "additionalProperties": False,
                "required": ["scaleTargetRef", "triggers"],
                "properties": {
                    "scaleTargetRef": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["name"],
                        "properties": {"name": {"type": "string", "minLength": 1}},
                    },
                    "minReplicaCount": {"type": "integer", "minimum": 0},
                    "maxReplicaCount": {"type": "integer", "minimum": 1},
                    "pollingInterval": {"type": "integer", "minimum": 1},
                    "triggers": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["type", "metadata"],
                            "properties": {
                                "type": {"const": "kafka"},
                                "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        },
                    },
                },
            },
        },
    }
}
Object = dict[str, Any]


def combinations(choices: Mapping[str, Sequence[Any]]) -> Iterator[Object]:
    """Values for a chart: for each dotted path one of its choices, of which the first is the usual one.

    Any two of all choices come together beside usual ones, and the last ones of all paths. All with all
    would be thousands, and no template looks at more than a few.
    """
    alternatives = [(path, value) for path, values in choices.items() for value in values[1:]]
    usual = {path: values[0] for path, values in choices.items()}
    yield _values(usual)
    yield _values({path: values[-1] for path, values in choices.items()})
    for path, value in alternatives:
        yield _values({**usual, path: value})
    for (path, value), (other, another) in itertools.combinations(alternatives, 2):
        if path != other:
            yield _values({**usual, path: value, other: another})


def check_all(chart: Path, every: Iterator[Object], *, name: str, namespace: str) -> int:
    """Render with all values, and check every object; return how many different texts were rendered."""
    loaded, seen = Chart.load(chart), set()
    for values in every:
        for text in loaded.render(values, name=name, namespace=namespace).values():
            if text in seen:
                continue
            seen.add(text)
            for each in yaml.safe_load_all(text):
                if each:
                    check(each)
    return len(seen)


def check(each: Object) -> None:
    """Raise where an object is not as its kind's schema has it."""
    schema = _SCHEMAS.get(each["kind"])
    if schema is None:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
    else:
        Draft7Validator(schema).validate(each)


def merged(values: Object, more: Object) -> Object:
    """Values with others put over them, member by member."""
    made = dict(values)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merged(made[key], value) if both else value
    return made


def _values(chosen: Mapping[str, Any]) -> Object:
    values: Object = {}
    for path, value in chosen.items():
        _put(values, path.split("."), copy.deepcopy(value))
    return values


def _put(values: Object, path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
    values[path[-1]] = value
