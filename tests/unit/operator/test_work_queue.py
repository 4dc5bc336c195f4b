"""The queue: no key twice at once, no change missed, failures retried with a growing delay."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from stockpipeline_operator.controller.work_queue import Priority, WorkQueue, backoff_seconds


def test_a_key_is_in_the_queue_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [queue.get(), queue.get()] == ["a", "b"]
    assert len(queue) == 0


def test_a_key_added_during_its_pass_comes_again_after_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.get() == "a"
    queue.add("a")
    queue.add("b")
    assert queue.get() == "b", "a is being worked on"
    queue.done("a")
    assert queue.get() == "a"


def test_a_change_comes_before_what_a_resync_looks_at() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "c"):
        queue.add(key, Priority.ROUTINE)
    queue.add("c")
    queue.add("b", Priority.ROUTINE)
    queue.add("probe", Priority.PROBE)
    assert len(queue) == 4
    assert [queue.get() for _ in range(4)] == ["probe", "c", "a", "b"]


def test_a_key_that_overtook_itself_is_not_worked_on_twice() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", Priority.ROUTINE)
    queue.add("a", Priority.CHANGE)
    assert queue.get() == "a"
    queue.add("a", Priority.ROUTINE)
    queue.add("b", Priority.ROUTINE)
    assert queue.get() == "b", "a is being worked on, though an old entry of it is ahead"
    queue.done("a")
    assert queue.get() == "a"
    assert len(queue) == 0


def test_keys_are_never_worked_on_by_two_threads() -> None:
    queue: WorkQueue[int] = WorkQueue()
    passes, overlaps = [0] * 5, []
    busy: set[int] = set()
    lock = threading.Lock()

    def work() -> None:
        while (key := queue.get()) is not None:
            with lock:
                overlaps.extend([key] if key in busy else [])
                busy.add(key)
            passes[key] += 1
            with lock:
                busy.discard(key)
            queue.done(key)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(5000):
        queue.add(number % 5, Priority(number % 3))
    while len(queue):
        time.sleep(0.001)
    queue.close()
    for thread in threads:
        thread.join(10)
    assert overlaps == []
    assert min(passes) >= 1


def test_a_delayed_key_comes_when_its_time_has_come() -> None:
    queue: WorkQueue[str] = WorkQueue()
    began = time.monotonic()
    queue.add_after("late", 0.2)
    queue.add_after("soon", 0.05)
    assert [queue.get(), queue.get()] == ["soon", "late"]
    assert time.monotonic() - began >= 0.2


def test_a_key_is_planned_once_for_the_earliest_time_it_was_given() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for seconds in (30, 0.05, 0.1, 20, 0.02):
        queue.add_after("a", seconds)
    for _ in range(5):
        queue.retry("a")
    queue.add_after("marker", 0.2)
    delivered = [queue.get()]
    queue.done("a")
    assert [*delivered, queue.get()] == ["a", "marker"], "a came once, and not again before the marker"


def test_a_pass_keeps_the_appointment_that_was_made_before_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.02)
    queue.add("a")
    assert queue.get() == "a"
    queue.done("a")
    queue.add_after("marker", 0.05)
    assert queue.get() == "marker"
    queue.add_after("a", 0.02)
    assert queue.get() == "a", "it may be planned anew"


def test_what_is_planned_during_a_pass_comes_after_it_also_if_the_pass_succeeds() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.get() == "a"
    queue.add_after("a", 0.02)
    queue.succeeded("a")
    queue.done("a")
    queue.add_after("marker", 10)
    assert queue.get() == "a"


def test_the_delay_grows_until_the_key_succeeds() -> None:
    queue: WorkQueue[str] = WorkQueue()
    delays = [queue.retry("a") for _ in range(4)]
    assert all(later > earlier / 2 * 1.99 for earlier, later in pairwise(delays))
    assert delays[3] >= 2.0
    queue.succeeded("a")
    assert queue.retry("a") <= 0.5


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_delay_has_a_bound_and_is_spread(chance: float) -> None:
    assert backoff_seconds(1, chance) == 0.5 * (0.5 + chance / 2)
    assert backoff_seconds(10_000, chance) == 60 * (0.5 + chance / 2)


def test_closing_wakes_those_who_wait() -> None:
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    queue.close()
    thread.join(10)
    assert got == [None]
