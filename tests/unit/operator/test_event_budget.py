"""Events: once, then a count, and never a storm."""

from __future__ import annotations

from stockpipeline_operator.reconcile.event_budget import BURST, REFILL_SECONDS, REPEAT_SECONDS, EventBudget

UID = "6a1c"
AWAY = ("Warning", "KafkaUnreachable", "Kafka at kafka:9092 cannot be reached")


def test_the_same_event_again_is_counted_and_written_now_and_then() -> None:
    budget = EventBudget()
    first = budget.happened(UID, AWAY, "one", 0)
    assert first is not None
    assert (first.name, first.count) == ("one", 1)
    again = budget.happened(UID, AWAY, "other", 0.5)
    assert again is not None
    assert (again.name, again.count) == ("one", 2)
    for second in range(1, 100):
        assert budget.happened(UID, AWAY, "other", second) is None
    later = budget.happened(UID, AWAY, "other", REPEAT_SECONDS + 1)
    assert later is not None
    assert (later.name, later.count) == ("one", 102)
    assert budget.happened(UID, AWAY, "other", REPEAT_SECONDS + 2) is None


def test_what_differs_is_another_event() -> None:
    budget = EventBudget()
    assert budget.happened(UID, AWAY, "one", 0) is not None
    assert budget.happened(UID, ("Normal", "Running", "all is well"), "two", 0) is not None
    assert budget.happened("other", AWAY, "three", 0) is not None


def test_a_pipeline_that_flaps_runs_out_of_events_and_gets_them_back_slowly() -> None:
    budget = EventBudget()
    flapping = [budget.happened(UID, ("Normal", "Flap", str(n)), "x", n / 10) for n in range(1000)]
    assert sum(one is not None for one in flapping) == BURST
    assert budget.happened("other", AWAY, "y", 100) is not None, "others are not affected"
    assert budget.happened(UID, AWAY, "z", 100 + REFILL_SECONDS) is not None
    assert budget.happened(UID, ("Normal", "Flap", "again"), "z", 101 + REFILL_SECONDS) is None


def test_memory_is_bounded() -> None:
    budget = EventBudget()
    for number in range(10_000):
        budget.happened(f"uid-{number}", AWAY, "x", 0)
    assert len(budget._series) <= 4096
    assert len(budget._purses) <= 4096
