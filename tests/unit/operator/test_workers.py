"""The workers: a failure of one pipeline is retried and does not touch the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from stockpipeline.runtime.health import Heartbeat
from stockpipeline_operator.controller.work_queue import WorkQueue
from stockpipeline_operator.controller.workers import CANARY, Workers
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.reconciler import Key, Retry


@contextmanager
def running(
    reconcile: Callable[[Key], float | None], heartbeat: Heartbeat | None = None
) -> Iterator[tuple[WorkQueue[Key], CollectorRegistry]]:
    queue: WorkQueue[Key] = WorkQueue()
    registry = CollectorRegistry()
    workers = Workers(2, queue, reconcile, OperatorMetrics(registry), heartbeat or Heartbeat())
    workers.start()
    try:
        yield queue, registry
    finally:
        workers.stop()


def test_failed_passes_come_again_and_are_counted() -> None:
    results: list[Exception | None] = [Retry("Kafka is away"), RuntimeError("a bug"), None]
    finished = threading.Event()

    def reconcile(key: Key) -> None:
        result = results.pop(0)
        if result is not None:
            raise result
        finished.set()

    with running(reconcile) as (queue, registry):
        queue.add(("default", "demo"))
        assert finished.wait(10)
    counts = [
        registry.get_sample_value("stockpipeline_operator_reconciles_total", {"result": result})
        for result in ("retry", "error", "success")
    ]
    assert counts == [1, 1, 1]


def test_a_pass_may_ask_for_another_one() -> None:
    seen = threading.Semaphore(0)

    def reconcile(key: Key) -> float:
        seen.release()
        return 0.01

    with running(reconcile) as (queue, _):
        queue.add(("default", "demo"))
        assert seen.acquire(timeout=10)
        assert seen.acquire(timeout=10)


def test_the_canary_beats_without_a_pass() -> None:
    beaten = threading.Event()

    class Watched(Heartbeat):
        def beat(self) -> None:
            beaten.set()

    def reconcile(key: Key) -> None:
        raise AssertionError(f"{key} is no pipeline")

    with running(reconcile, Watched()) as (queue, _):
        queue.add(CANARY)
        assert beaten.wait(10)
