"""Asks for a pass over every pipeline from time to time: watches may lose events, and Kafka sends none."""

import threading
from collections.abc import Sequence

import structlog

from stockpipeline.runtime.health import Readiness
from stockpipeline_operator.controller.work_queue import Priority, WorkQueue
from stockpipeline_operator.controller.workers import CANARY
from stockpipeline_operator.kube.client import ApiError, KubeClient
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from stockpipeline_operator.reconcile.reconciler import Key

_log = structlog.get_logger()
_CANARY_SECONDS = 10.0
CHECK = "API server"


class Resync:
    """One thread that lists the pipelines every `seconds`; also those that it saw before and sees no more."""

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
        self._known: set[Key] = set()
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
        waited = self._seconds
        while True:
            if waited >= self._seconds:
                self._resync()
                waited = 0.0
            self._queue.add(CANARY, Priority.PROBE)
            step = min(_CANARY_SECONDS, self._seconds)
            if self._wake.wait(step):
                if self._stopped:
                    return
                self._wake.clear()
                waited = self._seconds
            else:
                waited += step

    def _resync(self) -> None:
        try:
            listed = {key for namespace in self._namespaces for key in self._list(namespace)}
        except ApiError as error:
            self._readiness.waiting(CHECK, f"cannot list the StockPipelines: {error}")
            return
        self._readiness.fine(CHECK)
        for key in listed | self._known:
            self._queue.add(key, Priority.ROUTINE)
        self._known = listed

    def _list(self, namespace: str | None) -> list[Key]:
        items = self._client.list(STOCK_PIPELINE.path(namespace))
        return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]
