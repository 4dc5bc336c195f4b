"""What all pipelines own, listed at once for the first look at each.

After a start every pipeline is looked at. To ask for each object by itself, ten to a pipeline, keeps the API
server busy for minutes; a few lists answer the same. They grow old while the pipelines wait for their turn,
so an entry only serves to find that all is as it should, once, and is dropped when a change is heard of: what
is wrong is looked at again as it is then, and so is everything that moves.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from stockpipeline.api import PIPELINE_LABEL
from stockpipeline_operator.helm.releases import HelmReleases, field_manager
from stockpipeline_operator.kube.client import ApiError, KubeClient, Object
from stockpipeline_operator.kube.resources import OWNED, OWNED_SELECTOR, WORKLOADS, ResourceType
from stockpipeline_operator.reconcile.state import ObjectRef, Release

_log = structlog.get_logger()
Key = tuple[str, str]
# Longer than the first looks at thousands of pipelines take.
_VALID_SECONDS = 300.0
# Whole objects are large, and a page is in memory at once.
_WORKLOADS_PER_PAGE = 100


@dataclass
class Belongings:
    """What one pipeline owned when everything was listed."""

    history: tuple[Release, ...] = ()
    """The revisions of its release, oldest first."""
    _objects: dict[ObjectRef, bytes] = field(default_factory=dict)

    def get(self, ref: ObjectRef) -> Object | None:
        """As much of an object as tells whether it is as it should; None where there was none."""
        kept = self._objects.get(ref)
        return None if kept is None else dict(json.loads(kept))

    def add(self, ref: ObjectRef, found: Object) -> None:
        """Keep an object as text, which is a tenth of the size."""
        self._objects[ref] = json.dumps(_essence(found), separators=(",", ":")).encode()


class Inventory:
    """The belongings of pipelines that were not looked at yet. May be used by many threads."""

    def __init__(
        self, client: KubeClient, releases: HelmReleases, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._releases = releases
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Key, Belongings] = {}
        self._valid_until = float("-inf")
        self._changed: set[Key] | None = None  # while it is being filled

    def fill(self, namespaces: Sequence[str]) -> None:
        """List what pipelines own in these namespaces, or in all; changes must be watched already.

        Without an answer it stays empty, and every object is asked for by itself.
        """
        with self._lock:
            self._changed = set()
        try:
            entries = self._listed(namespaces or (None,))
        except ApiError as error:
            _log.warning("cannot list what pipelines own", error=str(error))
            entries = {}
        with self._lock:
            self._entries = {key: entries[key] for key in entries.keys() - self._changed}
            self._valid_until = self._clock() + _VALID_SECONDS
            self._changed = None

    def take(self, key: Key) -> Belongings | None:
        """The pipeline's belongings; once, and None if they may have changed."""
        with self._lock:
            if self._clock() > self._valid_until:
                self._entries.clear()
            return self._entries.pop(key, None)

    def forget(self, key: Key) -> None:
        """Something of the pipeline has changed: look at it as it is."""
        with self._lock:
            self._entries.pop(key, None)
            if self._changed is not None:
                self._changed.add(key)

    def _listed(self, namespaces: Iterable[str | None]) -> dict[Key, Belongings]:
        entries: dict[Key, Belongings] = {}
        for namespace in namespaces:
            for resource in OWNED:
                for found in self._objects(resource, namespace):
                    metadata = found["metadata"]
                    key = (metadata["namespace"], metadata["labels"][PIPELINE_LABEL])
                    ref = ObjectRef(resource.kind, metadata["name"])
                    entries.setdefault(key, Belongings()).add(ref, found)
        for namespace in {key[0] for key in entries}:
            for name, history in self._releases.histories(namespace).items():
                if (namespace, name) in entries:
                    entries[namespace, name].history = history
        return entries

    def _objects(self, resource: ResourceType, namespace: str | None) -> Iterable[Object]:
        path = resource.path(namespace)
        if resource.kind in WORKLOADS:
            return self._client.list(path, OWNED_SELECTOR, page=_WORKLOADS_PER_PAGE)
        return self._client.list(path, OWNED_SELECTOR, metadata_only=True)


def _essence(found: Object) -> Object:
    """What `observe` reads of an object that is as it should be."""
    metadata = found["metadata"]
    manager = field_manager()
    kept: Object = {
        "metadata": {
            "name": metadata["name"],
            "generation": metadata.get("generation"),
            "managedFields": [
                entry for entry in metadata.get("managedFields", ()) if entry["manager"] == manager
            ],
        }
    }
    if "spec" in found:
        kept["spec"] = {name: value for name, value in found["spec"].items() if name == "replicas"}
        kept["status"] = found.get("status", {})
    return kept
