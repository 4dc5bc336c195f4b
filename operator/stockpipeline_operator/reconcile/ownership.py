"""Which fields of an object somebody has taken away from us. Pure.

The API server keeps a list of who owns which field (`metadata.managedFields`). Whoever changes a value
becomes its owner and the one before loses it; whoever removes a field removes it from the list. So a field
that we applied and no longer own was edited, and one that we own has the value that we applied, in whatever
form the server stores it: defaults, empty values and quantities written in another way (`1000m`) are never
mistaken for an edit, and fields that we never applied, such as an autoscaler's `replicas`, are left alone.

It needs no request of its own: the metadata that tells whether the object is there carries the list.

Format: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (managedFields),
sigs.k8s.io/structured-merge-diff/fieldpath.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]
# They name the object, so they cannot change and have no owner.
_IDENTITY = {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}


def owned_fields(managed: Sequence[Object], manager: str) -> Object:
    """The tree of fields that `manager` owns by server-side apply; empty where it owns none."""
    for entry in managed:
        if entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource"):
            fields: Object = entry.get("fieldsV1", {})
            return fields
    return {}


def lost_fields(wanted: Object, owned: Object) -> tuple[Path, ...]:
    """The fields of `wanted` that are not in `owned`, without those below one that is lost as a whole."""
    return tuple(path for path in _lost(wanted, owned, ()) if path not in _IDENTITY)


def owners(managed: Sequence[Object], path: Path, manager: str) -> tuple[str, ...]:
    """Who owns the field now, by the names that they gave themselves; nobody where it was removed."""
    return tuple(
        entry["manager"]
        for entry in managed
        if entry["manager"] != manager and _reaches(entry.get("fieldsV1", {}), path)
    )


def describe(path: Path) -> str:
    """A field as people write it: `spec.template.spec.containers[name=producer].image`."""
    text = ""
    for key in path:
        kind, _, rest = key.partition(":")
        if kind == "f":
            text += f".{rest}" if text else rest
        elif kind == "k":
            text += f"[{','.join(f'{name}={value}' for name, value in json.loads(rest).items())}]"
        else:
            text += f"[{rest}]"
    return text


def _lost(wanted: Any, owned: Object, path: Path) -> Iterator[Path]:
    if isinstance(wanted, dict):
        pairs: Iterator[tuple[str, Any]] = ((f"f:{name}", value) for name, value in wanted.items())
    else:
        pairs = ((_item_key(index, item, owned), item) for index, item in enumerate(wanted))
    for key, value in pairs:
        if key not in owned:
            if value is not None:  # the same as leaving it out
                yield (*path, key)
        # A field without a tree below it is owned as a whole.
        elif owned[key] and isinstance(value, dict | list):
            yield from _lost(value, owned[key], (*path, key))


def _item_key(index: int, item: Any, owned: Object) -> str:
    """The key of a list's item in the tree: by some of its members, by its value, or by its index."""
    if isinstance(item, dict):
        for key in owned:
            kind, _, rest = key.partition(":")
            # Members that the item leaves out are there by default, such as a port's protocol.
            if kind == "k" and all(
                item.get(name, value) == value for name, value in json.loads(rest).items()
            ):
                return key
    else:
        for key in owned:
            kind, _, rest = key.partition(":")
            if kind == "v" and json.loads(rest) == item:
                return key
    return f"i:{index}"


def _reaches(fields: Object, path: Path) -> bool:
    for key in path:
        if key not in fields:
            return False
        fields = fields[key]
    return True
