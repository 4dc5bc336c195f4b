"""What a new revision would change, object by object and field by field. Pure."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from stockpipeline.api import PlannedAction, PlannedChange
from stockpipeline_operator.kube.resources import WORKLOADS
from stockpipeline_operator.reconcile.state import Release

Object = dict[str, Any]
_MOST_FIELDS = 20
# Written by the API server, and no part of what anybody wants.
_SERVER_SIDE = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"})


def plan_digest(release: Release | None, digest: str) -> str:
    """What identifies a plan: from which revision to which chart and values. 12 hex digits.

    Not from which digest: the same change may be wanted again months after it was taken back, and its old
    approval, which nobody has removed, must not hold for it.
    """
    uid = "" if release is None else release.uid
    return hashlib.sha256(f"{uid}\n{digest}".encode()).hexdigest()[:12]


def change(live: Object | None, wanted: Object) -> PlannedChange | None:
    """What becomes of one object; None: nothing. `wanted` is the server's answer to a dry run."""
    kind, name = wanted["kind"], wanted["metadata"]["name"]
    if live is None:
        return PlannedChange(action=PlannedAction.CREATE, kind=kind, name=name)
    fields = tuple(sorted(set(changed_fields(_content(live), _content(wanted)))))
    if not fields:
        return None
    return PlannedChange(
        action=PlannedAction.CHANGE,
        kind=kind,
        name=name,
        fields=fields[:_MOST_FIELDS],
        more_fields=max(0, len(fields) - _MOST_FIELDS),
        restarts=(
            kind in WORKLOADS
            and any(field.startswith("spec.template") for field in fields)
            and _runs(live)
            and _runs(wanted)
        ),
    )


def changed_fields(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The paths at which two values differ, such as `spec.template.spec.containers[detector].image`.

    Only paths: values may be secrets. Items of lists are told apart by their name, or by their place. JSON
    inside of a text is looked into.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changed_fields(old.get(key), new.get(key), _member(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        by_name = _have_names(old) and _have_names(new)
        before, after = _items(old, by_name), _items(new, by_name)
        for name in sorted(before.keys() | after.keys()):
            yield from changed_fields(before.get(name), after.get(name), f"{path}[{name}]")
    elif old != new:
        inside = _document(old), _document(new)
        if isinstance(inside[0], dict) and isinstance(inside[1], dict):
            yield from changed_fields(*inside, path)
        else:
            yield path


def _runs(workload: Object) -> bool:
    """Whether it has pods: one that is suspended, or is about to be, starts none anew."""
    return bool(workload["spec"].get("replicas", 1))


def _content(body: Object) -> Object:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _SERVER_SIDE}
    return {**{key: value for key, value in body.items() if key != "status"}, "metadata": metadata}


def _member(path: str, key: str) -> str:
    if "." in key or "/" in key:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _have_names(items: list[Any]) -> bool:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    return None not in names and len(set(names)) == len(names)


def _items(items: list[Any], by_name: bool) -> dict[str, Any]:
    return {str(item["name"] if by_name else number): item for number, item in enumerate(items)}


def _document(text: Any) -> Any:
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
