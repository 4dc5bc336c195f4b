"""kopf's part: it watches the pipelines, and its handler does nothing but put a key into the queue.

It is an `on.event` handler, which keeps no state: nothing is written to annotations, and finalizers are ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import kopf

from stockpipeline.api import APPROVE_ANNOTATION
from stockpipeline_operator.controller.work_queue import Priority, WorkQueue
from stockpipeline_operator.kube.credentials import connection
from stockpipeline_operator.kube.resources import STOCK_PIPELINE, ResourceType
from stockpipeline_operator.reconcile.reconciler import Key

# Longer than a watch may be silent: the API server sends a bookmark every minute.
_WATCH_SECONDS = 300
_CONNECT_SECONDS = 10
_PAGE = 500


def registry(queue: WorkQueue[Key]) -> kopf.OperatorRegistry:
    """The handler for the pipelines; what they own is watched by `owned_watch`."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(_login)
    seen = Seen()

    @kopf.on.event(*_selector(STOCK_PIPELINE), registry=handlers)
    async def pipeline_changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        key = (str(body["metadata"]["namespace"]), str(body["metadata"]["name"]))
        if seen.is_news(key, type, body["metadata"]):
            # What a watch begins with, after a start for one, has no type.
            queue.add(key, Priority.ROUTINE if type is None else Priority.CHANGE)

    return handlers


def settings(namespaces: Sequence[str]) -> kopf.OperatorSettings:
    """kopf's settings: watches that end and begin again; nothing is stored."""
    made = kopf.OperatorSettings()
    made.watching.server_timeout = _WATCH_SECONDS
    made.watching.client_timeout = _WATCH_SECONDS + 30
    made.watching.connect_timeout = _CONNECT_SECONDS
    made.watching.chunk_size = _PAGE
    made.posting.enabled = False
    made.persistence.finalizer = f"kopf.{STOCK_PIPELINE.api_version.partition('/')[0]}/unused"
    # A role in a namespace cannot allow to watch CRDs, which belong to the cluster.
    made.scanning.disabled = bool(namespaces)
    return made


class Seen:
    """Tells changes of what a user controls from the echo of the operator's own status writes."""

    def __init__(self) -> None:
        self._last: dict[Key, tuple[Any, ...]] = {}

    def is_news(self, key: Key, event: str | None, metadata: Mapping[str, Any]) -> bool:
        """Whether an event of the watch (its type, the object's metadata) asks for a pass."""
        if event == "DELETED":
            self._last.pop(key, None)
            return True
        now = (
            metadata.get("uid"),
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            tuple(metadata.get("finalizers", ())),
            metadata.get("annotations", {}).get(APPROVE_ANNOTATION),
        )
        news = self._last.get(key) != now
        self._last[key] = now
        return news


def _login(**_: Any) -> kopf.ConnectionInfo:
    return connection()


def _selector(resource: ResourceType) -> tuple[str, str, str]:
    group, _, version = resource.api_version.rpartition("/")
    return group, version, resource.plural
