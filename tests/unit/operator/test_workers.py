"""The workers: a failure of one pipeline is retried and does not touch the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry

from cluster.shell import wait_until
from stockpipeline.runtime.health import Heartbeat
from stockpipeline_operator.controller import workers
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


def test_the_canary_is_silent_while_a_pass_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LONGEST_PASS_SECONDS", 0.0)
    beats, under_way, let_go = [], threading.Event(), threading.Event()

    class Watched(Heartbeat):
        def beat(self) -> None:
            beats.append(True)

    def reconcile(key: Key) -> None:
        under_way.set()
        assert let_go.wait(10)

    with running(reconcile, Watched()) as (queue, _):
        queue.add(("default", "hangs"))
        assert under_way.wait(10)
        queue.add(CANARY)
        wait_until(lambda: len(queue) == 0, 10, "the canary has been taken")
        queue.add(CANARY)
        wait_until(lambda: len(queue) == 0, 10, "and once more, so the first one is done")
        assert not beats
        let_go.set()


def test_a_pipelines_pass_is_no_sign_of_life() -> None:
    """Or a queue in which the canary never gets its turn would look alive."""
    beats, passes = [], threading.Semaphore(0)

    class Watched(Heartbeat):
        def beat(self) -> None:
            beats.append(True)

    def reconcile(key: Key) -> None:
        passes.release()

    with running(reconcile, Watched()) as (queue, _):
        for number in range(5):
            queue.add(("default", str(number)))
        for _ in range(5):
            assert passes.acquire(timeout=10)
    assert not beats
