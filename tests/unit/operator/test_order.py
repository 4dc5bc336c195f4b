"""Which component keeps which waiting, from what the chart says."""

from __future__ import annotations

from stockpipeline_operator.reconcile.order import culprit, in_order
from stockpipeline_operator.reconcile.state import Workload


def one(component: str, *after: str, ready: int = 0) -> Workload:
    return Workload(component, f"demo-{component}", 1, ready, True, after=after)


# Two components that the product does not have (yet): the order is data.
STORE, PRODUCER = one("store"), one("producer", "store")
DETECTOR, BATCH = one("detector", "producer"), one("batch", "detector", "store")


def test_components_follow_what_they_need() -> None:
    assert in_order([BATCH, DETECTOR, STORE, PRODUCER]) == [STORE, PRODUCER, DETECTOR, BATCH]


def test_the_first_that_is_not_done_is_the_culprit() -> None:
    workloads = [BATCH, DETECTOR, PRODUCER, one("store", ready=1)]
    assert culprit(BATCH, workloads) == PRODUCER
    assert culprit(PRODUCER, workloads) is None


def test_a_component_that_is_not_there_keeps_nobody() -> None:
    assert culprit(DETECTOR, [DETECTOR]) is None


def test_a_circle_ends() -> None:
    first, second = one("a", "b"), one("b", "a")
    assert len(in_order([first, second])) == 2
    assert culprit(first, [first, second]) is not None
