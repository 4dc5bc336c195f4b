"""Watches what pipelines own, so that a change of it is put right at once.

Only metadata crosses the wire and only labels are read from it, one event at a time: nothing is kept, so
memory does not grow with what pipelines own, and not at all with what others own (the server selects by
label).

One thread for each kind and namespace. A watch goes on after the last resourceVersion that it heard of, from
an event or from a bookmark (the API server sends one each minute). A connection that is silent for longer is
dead, whatever TCP says. Where the API server no longer knows what happened since (410), the watch begins anew
and `missed` asks for a pass over everything.
"""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from stockpipeline.api import PIPELINE_LABEL
from stockpipeline_operator.controller.work_queue import WorkQueue, backoff_seconds
from stockpipeline_operator.kube.client import ApiError, Gone, KubeClient
from stockpipeline_operator.kube.resources import OWNED, OWNED_SELECTOR, ResourceType
from stockpipeline_operator.reconcile.reconciler import Key

_log = structlog.get_logger()
_WATCH_SECONDS = 300
_SILENCE_SECONDS = 90.0
# An installation, or a rollout, is a dozen events in a row: one pass looks at all of them.
_GATHER_SECONDS = 0.3


class OwnedWatch:
    """Puts the pipeline of every owned object that changes into the queue; `changed` is told of it before."""

    def __init__(
        self,
        client: KubeClient,
        queue: WorkQueue[Key],
        namespaces: Sequence[str],
        *,
        changed: Callable[[Key], None],
        missed: Callable[[], None],
    ) -> None:
        self._client = client
        self._queue = queue
        self._changed = changed
        self._missed = missed
        self._stop = threading.Event()
        self._watches = [
            _Watch(resource, namespace) for resource in OWNED for namespace in (namespaces or (None,))
        ]

    def start(self, patience: float) -> None:
        """Start the threads, and wait until all watch; at most `patience` seconds.

        Passes that begin after it see every change: what came before by looking, what comes by an event.
        """
        for watch in self._watches:
            threading.Thread(target=self._run, args=(watch,), name=f"watch-{watch}", daemon=True).start()
        deadline = time.monotonic() + patience
        for watch in self._watches:
            watch.began.wait(max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """Let the threads end when they next hear something; none of them holds anything."""
        self._stop.set()

    def silent_seconds(self) -> float:
        """How long the most silent watch has heard nothing: more than a minute and a half is a fault."""
        return max(time.monotonic() - watch.heard for watch in self._watches)

    def _run(self, watch: "_Watch") -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if watch.version is None:
                    self._begin(watch)
                self._follow(watch)
                failures = 0
            except Gone:
                watch.version = None
            except ApiError as error:
                failures += 1
                _log.warning("watch broken off", watch=str(watch), error=str(error), attempt=failures)
                self._stop.wait(backoff_seconds(failures, 0.5))
            except Exception:
                # A bug or an answer nobody expected: without a watch, only the resync would find drift.
                failures += 1
                _log.exception("watch failed", watch=str(watch), attempt=failures)
                self._stop.wait(backoff_seconds(failures, 0.5))

    def _begin(self, watch: "_Watch") -> None:
        path = watch.resource.path(watch.namespace)
        watch.version = self._client.current_version(path, OWNED_SELECTOR)
        if watch.began.is_set():
            self._missed()
        watch.began.set()

    def _follow(self, watch: "_Watch") -> None:
        assert watch.version is not None
        path = watch.resource.path(watch.namespace)
        for event in self._client.watch(
            path, OWNED_SELECTOR, watch.version, seconds=_WATCH_SECONDS, silence=_SILENCE_SECONDS
        ):
            if self._stop.is_set():
                return
            metadata = event["object"]["metadata"]
            watch.version, watch.heard = metadata["resourceVersion"], time.monotonic()
            if event["type"] != "BOOKMARK":
                key = (metadata["namespace"], metadata["labels"][PIPELINE_LABEL])
                self._changed(key)
                self._queue.add_after(key, _GATHER_SECONDS)


class _Watch:
    """One watch: of what, and how far it is."""

    def __init__(self, resource: ResourceType, namespace: str | None) -> None:
        self.resource = resource
        self.namespace = namespace
        self.version: str | None = None
        self.heard = time.monotonic()
        self.began = threading.Event()

    def __str__(self) -> str:
        return f"{self.namespace or '*'}/{self.resource.plural}"
