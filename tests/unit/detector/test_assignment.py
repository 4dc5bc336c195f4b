"""Bookkeeping of owned partitions."""

from stockpipeline.adapters.kafka_partitioning import partition_of
from stockpipeline.detector.assignment import Assignment

SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


def test_every_symbol_belongs_to_the_partition_of_its_key() -> None:
    assignment = Assignment(SYMBOLS, 4)
    for partition in range(4):
        assert list(assignment.symbols(partition)) == [s for s in SYMBOLS if partition_of(s, 4) == partition]


def test_a_partition_is_active_once_it_is_restored() -> None:
    assignment = Assignment(SYMBOLS, 4)
    assignment.add([2, 0])
    assert (assignment.owned, assignment.pending, assignment.active) == ([0, 2], [0, 2], [])
    assignment.found(2, 17, 40)
    assignment.restored(2)
    assert (assignment.pending, assignment.active) == ([0], [2])
    assignment.processed({2: 25})
    assert (assignment.progress(2).position, assignment.progress(2).end) == (25, 40)


def test_a_partition_that_goes_and_comes_back_is_restored_anew() -> None:
    assignment = Assignment(SYMBOLS, 4)
    assignment.add([1, 2])
    assignment.restored(1)
    assignment.remove([1])
    assert assignment.owned == [2]
    assignment.add([1])
    assert assignment.pending == [1, 2]


def test_after_an_abort_nothing_is_restored() -> None:
    assignment = Assignment(SYMBOLS, 4)
    assignment.add([1, 2])
    assignment.found(1, 5, 9)
    assignment.restored(1)
    assignment.forget_progress()
    assert (assignment.owned, assignment.active) == ([1, 2], [])
    assert assignment.progress(1).position is None
