"""What a plan says would change."""

from __future__ import annotations

from typing import Any

import pytest

from stockpipeline.api import PlannedAction
from stockpipeline_operator.reconcile.changes import change, changed_fields, plan_digest
from stockpipeline_operator.reconcile.state import Release, ReleaseStatus


def deployment(image: str = "services:1", **metadata: Any) -> dict[str, Any]:
    container = {"name": "detector", "image": image, "env": [{"name": "A", "value": "1"}]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "demo-detector", "labels": {"a": "b"}, **metadata},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
    }


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2, "b": 1}, ["a", "b"]),
        ({"a": {"x/y": 1}}, {"a": {"x/y": 2}}, ["a[x/y]"]),
        (
            {"l": [{"name": "p", "v": 1}, {"name": "q", "v": 1}]},
            {"l": [{"name": "q", "v": 2}, {"name": "p", "v": 1}]},
            ["l[q].v"],
        ),
        ({"l": [1, 2]}, {"l": [1, 3, 4]}, ["l[1]", "l[2]"]),
        ({"l": [{"name": "p"}, {"name": "p"}]}, {"l": [{"name": "p"}]}, ["l[1]"]),
        ({"t": '{"x": {"y": 1}}'}, {"t": '{"x": {"y": 2}}'}, ["t.x.y"]),
        ({"t": '{"x": 1}'}, {"t": '{"x": 1} '}, []),
        ({"t": "{no json"}, {"t": "{neither"}, ["t"]),
        ({"a": None}, {}, []),
    ],
)
def test_fields_are_named_by_their_paths(old: Any, new: Any, paths: list[str]) -> None:
    assert list(changed_fields(old, new)) == paths


def test_an_object_that_is_not_there_is_created() -> None:
    found = change(None, deployment())
    assert found is not None
    assert (found.action, found.kind, found.name) == (PlannedAction.CREATE, "Deployment", "demo-detector")


def test_what_the_server_writes_is_no_change() -> None:
    live = {**deployment(resourceVersion="1", managedFields=[{}]), "status": {"replicas": 1}}
    assert change(live, deployment(resourceVersion="2", generation=3)) is None


def test_pods_restart_when_their_template_changes() -> None:
    found = change(deployment(), deployment(image="services:2"))
    assert found is not None
    assert found.fields == ("spec.template.spec.containers[detector].image",)
    assert found.restarts
    found = change(deployment(), deployment(labels={"a": "c"}))
    assert found is not None
    assert found.fields == ("metadata.labels.a",)
    assert not found.restarts


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0), (0, 0)])
def test_what_does_not_run_is_not_started_anew(before: int, after: int) -> None:
    live, wanted = deployment(), deployment(image="services:2")
    live["spec"]["replicas"], wanted["spec"]["replicas"] = before, after
    found = change(live, wanted)
    assert found is not None
    assert not found.restarts


def test_a_long_list_of_fields_is_cut_and_counted() -> None:
    found = change(deployment(), deployment(labels={f"l{number:02}": "x" for number in range(30)}))
    assert found is not None
    assert (len(found.fields), found.more_fields) == (20, 11)


def test_the_digest_tells_both_ends_of_a_plan() -> None:
    first, again = (Release("demo", 1, ReleaseStatus.DEPLOYED, "a", uid) for uid in ("1", "2"))
    digests = {plan_digest(old, new) for old in (None, first, again) for new in ("a", "b")}
    assert len(digests) == 6
