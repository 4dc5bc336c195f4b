"""A revision of a release as Helm 4 stores it: what it consists of, and the Secret that it is kept in. Pure.

Formats: `Release` in helm.sh/helm/v4/pkg/release/v1, `Chart` in pkg/chart/v2, `newSecretsObject` in
pkg/storage/driver/secrets.go, the order of kinds in pkg/release/v1/util/kind_sorter.go.
"""

import base64
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stockpipeline_operator.helm.storage import encode, secret_name

MAX_HISTORY = 5
Object = dict[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEMPLATES = "templates"
# Of the kinds that the chart may contain: what others refer to comes first, what starts pods last.
_INSTALL_ORDER = (
    "NetworkPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
    "StatefulSet",
    "Job",
    "CronJob",
)


def chart_record(directory: Path) -> Object:
    """A chart as it is stored with each release: so much that the release can be rendered again from it."""
    templates, files = [], []
    known = ("Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json")
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory).as_posix()
        entry = {"name": name, "data": base64.b64encode(path.read_bytes()).decode()}
        if name.startswith(f"{_TEMPLATES}/"):
            templates.append(entry)
        elif name not in known:
            files.append(entry)
    schema = directory / "values.schema.json"
    return {
        "metadata": _yaml(directory / "Chart.yaml"),
        "lock": None,
        "templates": templates,
        "values": _yaml(directory / "values.yaml"),
        "schema": base64.b64encode(schema.read_bytes()).decode() if schema.exists() else None,
        "files": files or None,
    }


def manifest_of(rendered: Mapping[str, str]) -> str:
    """The rendered files as one text of YAML documents, each with the file that it comes from."""
    documents = [
        f"---\n# Source: {name}\n{text.strip()}\n"
        for name, text in sorted(rendered.items())
        if name.endswith(".yaml") and text.strip()
    ]
    return "".join(documents)


def in_install_order(objects: tuple[Object, ...]) -> list[Object]:
    """The objects, first those that others need; kinds that are not known come last."""
    order = {kind: place for place, kind in enumerate(_INSTALL_ORDER)}
    return sorted(objects, key=lambda one: (order.get(one["kind"], len(order)), one["metadata"]["name"]))


def identity(one: Object) -> tuple[str, str]:
    """What makes two objects of a release the same: kind and name."""
    return one["kind"], one["metadata"]["name"]


def marked(one: Object, namespace: str, release: str) -> Object:
    """An object as the chart made it, with the marks by which Helm knows its objects."""
    metadata = one["metadata"]
    return {
        **one,
        "metadata": {
            **metadata,
            "namespace": namespace,
            "labels": {**metadata.get("labels", {}), "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                **metadata.get("annotations", {}),
                "meta.helm.sh/release-name": release,
                "meta.helm.sh/release-namespace": namespace,
            },
        },
    }


def new_release(
    namespace: str, name: str, chart: Object, values: Object, manifest: str, now: datetime.datetime
) -> Object:
    """The content of a release's first revision, before anything of it is applied."""
    return {
        "name": name,
        "info": {
            "first_deployed": now.isoformat(),
            "last_deployed": now.isoformat(),
            "status": "pending-install",
            "description": "Initial install underway",
        },
        "chart": chart,
        "config": values,
        "manifest": manifest,
        "version": 1,
        "namespace": namespace,
        "apply_method": "ssa",
    }


def next_release(
    release: Object, number: int, first_deployed: str, operation: str, now: datetime.datetime
) -> Object:
    """A release's content as its revision `number`, before anything of it is applied.

    `operation` is `upgrade` or `rollback`.
    """
    info = {
        "first_deployed": first_deployed,
        "last_deployed": now.isoformat(),
        "status": f"pending-{operation}",
        "description": f"Preparing {operation}",
    }
    return {**release, "info": info, "version": number}


def expendable(numbers: Sequence[int], keep: int | None) -> frozenset[int]:
    """Which of a history's revisions need not stay when a newer one was made: `keep` must, if it is there."""
    others = sorted(number for number in numbers if number != keep)
    room = MAX_HISTORY - 1 - (len(numbers) - len(others))
    return frozenset(others[:-room])


def secret(release: Object, labels: Mapping[str, str], now: datetime.datetime) -> Object:
    """The Secret of a new revision; `labels` are those of the release besides Helm's own."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": secret_name(release["name"], release["version"]),
            "namespace": release["namespace"],
            "labels": {
                **labels,
                "createdAt": str(int(now.timestamp())),
                "name": release["name"],
                "owner": "helm",
                "status": release["info"]["status"],
                "version": str(release["version"]),
            },
        },
        "data": {"release": encode(release)},
    }


def _yaml(path: Path) -> Object:
    content: Object = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
    return content
