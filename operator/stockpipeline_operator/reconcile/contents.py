"""What a revision of a release consists of, read once and kept small.

A pass over a pipeline that has not changed parses no manifest: of each object only a reference is kept, and
the digest of the fields that were ours when it was last compared. Whole manifests are kept for a few.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from stockpipeline.api import GROUP
from stockpipeline_operator.helm.chart import parse_manifest
from stockpipeline_operator.helm.releases import HelmReleases
from stockpipeline_operator.kube.client import Object
from stockpipeline_operator.kube.resources import WORKLOADS
from stockpipeline_operator.reconcile.ownership import Path
from stockpipeline_operator.reconcile.state import ObjectRef, Release

_KEPT_WHOLE = 16
COMPONENT_LABEL = "app.kubernetes.io/component"
# The chart says with it which components a workload needs, separated by spaces.
AFTER_ANNOTATION = f"{GROUP}/after"


@dataclass(frozen=True)
class Part:
    """An object of a revision."""

    ref: ObjectRef
    replicas: int | None
    """How many the release asks for; None where it leaves that to others, or the object runs nothing."""
    component: str = ""
    """Which component of the pipeline it is; empty where it runs nothing."""
    after: tuple[str, ...] = ()
    """The components that it comes after."""

    @property
    def workload(self) -> bool:
        """Whether it runs pods."""
        return self.ref.kind in WORKLOADS


@dataclass
class Contents:
    """The objects of one revision, and what is known of the live ones."""

    uid: str
    parts: tuple[Part, ...]
    _seen: dict[ObjectRef, int] = field(default_factory=dict)
    _ownerless: dict[ObjectRef, frozenset[Path]] = field(default_factory=dict)

    def unchanged(self, ref: ObjectRef, owned: Object) -> bool:
        """Whether exactly these fields of the object were ours when it was found to be as it should."""
        return self._seen.get(ref) == _fingerprint(owned)

    def as_it_should(self, ref: ObjectRef, owned: Object) -> None:
        """Remember that the object is as it should be while these fields are ours."""
        self._seen[ref] = _fingerprint(owned)

    def ownerless(self, ref: ObjectRef) -> frozenset[Path]:
        """Fields for which the server names no owner even after they were applied."""
        return self._ownerless.get(ref, frozenset())

    def without_owner(self, ref: ObjectRef, fields: frozenset[Path]) -> None:
        """Remember fields for which the server names no owner: applying them again would never end."""
        self._ownerless[ref] = fields


class Revisions:
    """The contents of the revision that each pipeline runs. May be used by many threads."""

    def __init__(self, releases: HelmReleases) -> None:
        self._releases = releases
        self._contents: dict[tuple[str, str], Contents] = {}
        self._whole: OrderedDict[str, tuple[Object, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def contents(self, namespace: str, release: Release) -> Contents:
        """What the revision consists of."""
        known = self._contents.get((namespace, release.name))
        if known is None or known.uid != release.uid:
            parts = tuple(_part(one) for one in self.objects(namespace, release))
            known = self._contents[namespace, release.name] = Contents(release.uid, parts)
        return known

    def objects(self, namespace: str, release: Release) -> tuple[Object, ...]:
        """The objects in full, as the chart made them."""
        with self._lock:
            found = self._whole.pop(release.uid, None)
        if found is None:
            found = parse_manifest(self._releases.manifest(namespace, release))
        with self._lock:
            self._whole[release.uid] = found
            if len(self._whole) > _KEPT_WHOLE:
                self._whole.popitem(last=False)
        return found

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is kept of a pipeline that is gone."""
        self._contents.pop((namespace, name), None)


def _part(wanted: Object) -> Part:
    ref = ObjectRef.of(wanted)
    if ref.kind not in WORKLOADS:
        return Part(ref, None)
    metadata = wanted["metadata"]
    after = metadata.get("annotations", {}).get(AFTER_ANNOTATION, "")
    component = metadata.get("labels", {}).get(COMPONENT_LABEL, ref.name)
    return Part(ref, wanted["spec"].get("replicas"), component, tuple(after.split()))


def _fingerprint(owned: Object) -> int:
    return hash(json.dumps(owned, sort_keys=True))
