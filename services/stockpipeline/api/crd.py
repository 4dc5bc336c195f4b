"""Makes the CustomResourceDefinition from the models: `python -m stockpipeline.api.crd` prints it.

Pydantic's JSON schema is turned into what Kubernetes calls a structural schema: no references, no `anyOf` for
optional fields, no `additionalProperties: false` (unknown fields are pruned by the API server), no `title`.
"""

import sys
from typing import Any

import yaml
from pydantic import BaseModel

from stockpipeline.api.base import Check
from stockpipeline.api.names import GROUP, KIND, PLURAL, VERSION
from stockpipeline.api.spec import StockPipelineSpec
from stockpipeline.api.status import StockPipelineStatus

Schema = dict[str, Any]

_FIRST_KEYS = ("description", "type", "default")

PRINTER_COLUMNS = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether everything runs."),
    ("Status", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready, or not yet."),
    ("Mode", "string", ".spec.mode", "Apply: changes are made at once. Plan: after approval."),
    ("Symbols", "integer", ".status.symbols", "How many symbols the pipeline follows."),
    (
        "Ticks/s",
        "string",
        ".status.ticksPerSecond",
        "How many ticks come in a second, in steps of ten.",
    ),
    (
        "Fresh",
        "string",
        '.status.conditions[?(@.type=="DataFresh")].status',
        "Whether the newest tick is as new as it should be.",
    ),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the resource was made."),
)
# The longest name that a Helm release may have; the Deployments' names and labels are made from it. Every
# namespace has a ServiceAccount `default` already, which a release of that name would take over.
NAME_CHECK = Check(
    "self.metadata.name.matches(r'^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 53 "
    "&& self.metadata.name != 'default'",
    "metadata.name must be at most 53 characters of a-z, 0-9 and '-' and begin with a letter, and not be "
    "'default': it names a Helm release, a ServiceAccount, Kafka topics and Redis keys",
)


def structural_schema(model: type[BaseModel]) -> Schema:
    """The model's schema in the form that a CRD needs."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    definitions: Schema = document.pop("$defs", {})
    return _structural(document, definitions)


def _structural(node: Schema, definitions: Schema) -> Schema:
    """Inline what `node` refers to, drop what Kubernetes does not know, and go on with its children."""
    node = _resolved(node, definitions)
    schema = {key: node[key] for key in (*_FIRST_KEYS, *sorted(node)) if key in node and key != "title"}
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if "default" in schema:
        schema["default"] = _without_nulls(schema["default"])
        if schema["default"] is None:
            del schema["default"]
    if "properties" in schema:
        schema["properties"] = {k: _structural(v, definitions) for k, v in schema["properties"].items()}
        schema.pop("additionalProperties", None)
    elif isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _structural(schema["additionalProperties"], definitions)
        schema.pop("propertyNames", None)
    if "items" in schema:
        schema["items"] = _structural(schema["items"], definitions)
    return schema


def _without_nulls(value: Any) -> Any:
    """`value` with null members removed: to Kubernetes an absent field and null are the same."""
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value]
    return value


def _resolved(node: Schema, definitions: Schema) -> Schema:
    """`node` with `$ref` and optional `anyOf` replaced by what they stand for; own keys win."""
    own = dict(node)
    if "$ref" in own:
        name = own.pop("$ref").rsplit("/", 1)[1]
        return _resolved({**definitions[name], **own}, definitions)
    if "anyOf" in own:
        present = [option for option in own.pop("anyOf") if option.get("type") != "null"]
        if len(present) != 1:
            raise TypeError(f"not expressible in a structural schema: {node}")
        return _resolved({**present[0], **own}, definitions)
    return own


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as an object."""
    spec = structural_schema(StockPipelineSpec)
    status = structural_schema(StockPipelineStatus)
    schema = {
        "type": "object",
        "description": "A stock-signal pipeline: market data in, indicators and signals out.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"{KIND}."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [NAME_CHECK.as_validation()],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            # Uninstalling the operator must not delete the users' pipelines with the CRD.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {
                "app.kubernetes.io/name": "stockpipeline-operator",
                "app.kubernetes.io/part-of": "stockpipeline",
            },
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["spl"],
                "categories": ["stock"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "description": text}
                        for name, kind, path, text in PRINTER_COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def render() -> str:
    """The CRD as YAML; the same models always give the same text."""
    header = "# Generated by `make generate` from stockpipeline.api; edit the models instead.\n"
    return header + yaml.safe_dump(
        custom_resource_definition(), sort_keys=False, width=110, allow_unicode=True
    )


if __name__ == "__main__":
    sys.stdout.write(render())
