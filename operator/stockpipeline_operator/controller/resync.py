"""Asks for passes without a reason: watches may lose events, and Kafka sends none."""

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import structlog

from stockpipeline.runtime.health import Readiness
from stockpipeline_operator.controller.work_queue import Priority, WorkQueue
from stockpipeline_operator.controller.workers import CANARY
from stockpipeline_operator.kube.client import ApiError, KubeClient
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from stockpipeline_operator.reconcile.reconciler import Key

_log = structlog.get_logger()
_CANARY_SECONDS = 10.0
# A look takes a few requests: a thousand pipelines are gone through in six minutes, ninety in half a minute.
_LOOKS_PER_SECOND = 3.0
CHECK = "API server"


# What changes when a pass is due: uid, generation, and whether it is being deleted.
Version = tuple[str, int, bool]


class Resync:
    """One thread that lists the pipelines every `seconds`.

    What has changed or gone since the list before is looked at in any case, all others in turn.
    """

    def __init__(
        self,
        client: KubeClient,
        queue: WorkQueue[Key],
        readiness: Readiness,
        namespaces: Sequence[str],
        seconds: float,
    ) -> None:
        self._client = client
        self._queue = queue
        self._readiness = readiness
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._seconds = seconds
        self._share = math.ceil(seconds * _LOOKS_PER_SECOND)
        self._known: dict[Key, Version] = {}
        self._rotation: OrderedDict[Key, None] = OrderedDict()
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resync", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. It is not waited for: it may hang on an API server that does not answer."""
        self._stopped = True
        self._wake.set()

    def now(self) -> None:
        """Ask for a pass over every pipeline as soon as possible: events were missed."""
        self._wake.set()

    def _run(self) -> None:
        waited, everything = self._seconds, True
        while True:
            if everything or waited >= self._seconds:
                self._resync(everything=everything)
                waited, everything = 0.0, False
            self._queue.add(CANARY, Priority.PROBE)
            step = min(_CANARY_SECONDS, self._seconds)
            if self._wake.wait(step):
                if self._stopped:
                    return
                self._wake.clear()
                everything = True
            else:
                waited += step

    def _resync(self, *, everything: bool) -> None:
        try:
            listed = dict(found for namespace in self._namespaces for found in self._list(namespace))
        except ApiError as error:
            self._readiness.waiting(CHECK, f"cannot list the StockPipelines: {error}")
            return
        self._readiness.fine(CHECK)
        for key in due(listed, self._known, self._rotation, self._share, everything=everything):
            self._queue.add(key, Priority.ROUTINE)
        self._known = listed

    def _list(self, namespace: str | None) -> Iterator[tuple[Key, Version]]:
        for item in self._client.list(STOCK_PIPELINE.path(namespace), metadata_only=True):
            found = item["metadata"]
            version = (found["uid"], found["generation"], "deletionTimestamp" in found)
            yield (found["namespace"], found["name"]), version


def due(
    listed: Mapping[Key, Version],
    known: Mapping[Key, Version],
    rotation: OrderedDict[Key, None],
    share: int,
    *,
    everything: bool,
) -> set[Key]:
    """Which pipelines to look at: those of which an event was missed, and so many of all others in turn.

    `rotation` has all of them, who waited longest first, and is brought up to date.
    """
    missed = {key for key in listed.keys() | known.keys() if listed.get(key) != known.get(key)}
    for key in listed.keys() - rotation.keys():
        rotation[key] = None
    for key in rotation.keys() - listed.keys():
        del rotation[key]
    turn = set(listed) if everything else set(itertools.islice(rotation, share))
    for key in turn:
        rotation.move_to_end(key)
    return missed | turn
