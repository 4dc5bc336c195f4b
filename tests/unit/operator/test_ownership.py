"""Which fields were taken away: found in managedFields, as the API server writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stockpipeline_operator.reconcile.observe import describe_edit
from stockpipeline_operator.reconcile.ownership import describe, lost_fields, owned_fields, owners

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "demo", "namespace": "default", "labels": {"app/name": "demo", "tier": "a"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app/name": "demo"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "one",
                        "args": ["a", "b"],
                        "ports": [{"name": "metrics", "containerPort": 8080}],
                    },
                    {"name": "side"},
                ]
            }
        },
    },
}
# What the API server answers to the apply of it; `selector` and `args` are owned as a whole.
OWNED: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:app/name": {}, "f:tier": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:args": {},
                        "f:ports": {
                            'k:{"containerPort":8080,"protocol":"TCP"}': {
                                ".": {},
                                "f:containerPort": {},
                                "f:name": {},
                            }
                        },
                    },
                    'k:{"name":"side"}': {".": {}, "f:name": {}},
                }
            }
        },
    },
}
CONTAINER = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"main"}')


def without(*path: str) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(OWNED))
    node = changed
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return changed


def entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields, **more}


def test_an_object_as_applied_has_lost_nothing() -> None:
    assert lost_fields(WANTED, OWNED) == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), "spec.replicas"),
        (("f:spec", "f:selector"), "spec.selector"),
        (("f:metadata", "f:labels", "f:app/name"), "metadata.labels.app/name"),
        ((*CONTAINER, "f:image"), "spec.template.spec.containers[name=main].image"),
        (("f:spec", "f:template"), "spec.template"),
    ],
)
def test_a_field_that_was_taken_is_named_once(path: tuple[str, ...], text: str) -> None:
    lost = lost_fields(WANTED, without(*path))
    assert lost == (path,)
    assert describe(lost[0]) == text


def test_an_item_that_was_removed_is_named_by_its_place() -> None:
    (lost,) = lost_fields(WANTED, without(*CONTAINER))
    assert describe(lost) == "spec.template.spec.containers[0]"


def test_fields_that_were_never_applied_are_nobodys_business() -> None:
    scaled = {**WANTED, "spec": {**WANTED["spec"]}}
    del scaled["spec"]["replicas"]
    assert lost_fields(scaled, without("f:spec", "f:replicas")) == ()


def test_nothing_is_the_same_as_null() -> None:
    assert lost_fields({"spec": {"a": None, "b": 1}}, {"f:spec": {"f:b": {}}}) == ()


def test_a_set_is_compared_by_value() -> None:
    owned = {"f:finalizers": {'v:"a"': {}}}
    assert lost_fields({"finalizers": ["a"]}, owned) == ()
    assert [describe(path) for path in lost_fields({"finalizers": ["a", "b"]}, owned)] == ["finalizers[1]"]


def test_only_what_was_applied_under_our_name_is_ours() -> None:
    managed = [
        entry("operator", {"f:a": {}}, operation="Update"),
        entry("operator", {"f:b": {}}, subresource="status"),
        entry("other", {"f:c": {}}),
        entry("operator", {"f:d": {}}),
    ]
    assert owned_fields(managed, "operator") == {"f:d": {}}
    assert owned_fields([], "operator") == {}


def test_the_editor_is_named() -> None:
    field = (*CONTAINER, "f:image")
    edit = {"f:spec": {"f:template": {"f:spec": {"f:containers": {CONTAINER[-1]: {"f:image": {}}}}}}}
    managed = [entry("stockpipeline-operator", OWNED), entry("kubectl-set", edit, operation="Update")]
    assert owners(managed, field, "stockpipeline-operator") == ("kubectl-set",)
    text = describe_edit((field,), managed, "stockpipeline-operator")
    assert text == "spec.template.spec.containers[name=main].image: changed by kubectl-set"
    assert describe_edit((("f:spec", "f:gone"),), managed, "stockpipeline-operator") == "spec.gone: removed"


def test_many_fields_are_counted() -> None:
    fields = tuple(("f:data", f"f:{number}") for number in range(7))
    assert (
        describe_edit(fields, [], "stockpipeline-operator")
        == "data.0, data.1, data.2, data.3, data.4 and 2 more fields: removed"
    )
