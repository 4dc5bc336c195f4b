"""Threads that take keys from the queue and reconcile them.

Threads, because most of a pass is waiting for the API server, for Kafka, or for the Helm SDK to render.
"""

import threading
import time
from collections.abc import Callable

import structlog

from stockpipeline.runtime import tracing
from stockpipeline.runtime.health import Heartbeat
from stockpipeline_operator.controller.work_queue import WorkQueue
from stockpipeline_operator.leadership.fence import NotLeading
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.reconciler import Key, Retry

_log = structlog.get_logger()
# Goes through the queue and a worker like any other key: proves that both move.
CANARY: Key = ("", "")
# Far more than a pass can take, for all that it waits for has a timeout. A thread that is longer at it hangs,
# and the canary must not sing because others are free.
LONGEST_PASS_SECONDS = 300.0
_STOP_SECONDS = 20.0


class Workers:
    """A pool of `count` threads around one `reconcile(key)`, which returns when to look again, or None."""

    def __init__(
        self,
        count: int,
        queue: WorkQueue[Key],
        reconcile: Callable[[Key], float | None],
        metrics: OperatorMetrics,
        heartbeat: Heartbeat,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._began: dict[Key, float] = {}
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close the queue and wait for the passes under way, for a bounded time."""
        self._queue.close()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def oldest_pass_seconds(self) -> float:
        """For how long the slowest of the passes under way has been so; 0 when there is none."""
        return max((time.monotonic() - began for began in tuple(self._began.values())), default=0.0)

    def _run(self) -> None:
        while (key := self._queue.get()) is not None:
            try:
                if key == CANARY:
                    self._sing()
                else:
                    self._began[key] = time.monotonic()
                    self._pass(key)
            finally:
                self._began.pop(key, None)
                self._queue.done(key)

    def _sing(self) -> None:
        if self.oldest_pass_seconds() < LONGEST_PASS_SECONDS:
            self._heartbeat.beat()
        else:
            _log.error("a pass hangs", seconds=round(self.oldest_pass_seconds()), passes=list(self._began))

    def _pass(self, key: Key) -> None:
        log = _log.bind(namespace=key[0], pipeline=key[1])
        try:
            with (
                self._metrics.duration.time(),
                tracing.span("reconcile", namespace=key[0], pipeline=key[1]),
            ):
                again = self._reconcile(key)
        except Retry as retry:
            self._metrics.reconciles.labels("retry").inc()
            log.warning("not done", error=str(retry), retry_seconds=round(self._queue.retry(key), 1))
        except NotLeading as error:
            # Whoever leads now makes the pass.
            self._metrics.reconciles.labels("not-leading").inc()
            log.info("not done", error=str(error))
        except Exception:
            # A bug or an answer nobody expected: the other pipelines must not suffer from it.
            self._metrics.reconciles.labels("error").inc()
            log.exception("pass failed", retry_seconds=round(self._queue.retry(key), 1))
        else:
            self._metrics.reconciles.labels("success").inc()
            self._queue.succeeded(key)
            if again is not None:
                self._queue.add_after(key, again)
