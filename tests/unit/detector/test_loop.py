"""What the main loop does when the open transaction fails under its hands, and what it measures."""

from unittest.mock import MagicMock, Mock, PropertyMock

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_transactions import TransactionFailed
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.closing import NoClosing
from stockpipeline.detector.loop import DetectorLoop
from stockpipeline.detector.performance import NOT_JUDGED
from stockpipeline.runtime.metrics import DetectorMetrics


class Taken(list[MagicMock]):
    """Messages of partition 0, as the consumer hands them over."""

    def positions(self) -> dict[int, int]:
        return {0: len(self)}


def restorer(*outdated: list[int]) -> Mock:
    """Finds these partitions outdated, one list at each look; then none."""
    looks = iter(outdated)
    return Mock(outdated=Mock(side_effect=lambda: next(looks, [])))


def test_a_transaction_that_fails_while_ticks_are_taken_is_aborted_and_done_again() -> None:
    consumer, delivery, assignment, intake, shutdown = Mock(), Mock(), Mock(), Mock(), Mock()
    type(shutdown).requested = PropertyMock(side_effect=[False, False, True])
    assignment.pending, assignment.owned, assignment.version, assignment.lag = [], [0], 1, 0
    delivery.is_due.return_value = False
    consumer.drain.return_value = Taken([MagicMock()])
    intake.take.side_effect = TransactionFailed("a message was refused")
    delivery.seconds_left.return_value = 0.0
    loop = DetectorLoop(
        consumer, delivery, restorer(), assignment, Mock(), intake, NOT_JUDGED, Mock(), MagicMock(), Mock(),
        Mock(), shutdown, NoClosing(),
    )  # fmt: skip
    loop.run()
    delivery.abort.assert_called_once_with()
    delivery.processed.assert_not_called()
    assignment.forget_progress.assert_called_once_with()
    consumer.halt.assert_called_once_with([0])


def test_batches_and_rebalances_are_measured() -> None:
    consumer, delivery, assignment, intake, shutdown = Mock(), Mock(), Mock(), Mock(), Mock()
    type(shutdown).requested = PropertyMock(side_effect=[False, True])
    assignment.pending, assignment.owned, assignment.version, assignment.lag = [], [0], 1, 0
    assignment.symbols.return_value = []
    delivery.is_due.return_value = False
    delivery.seconds_left.return_value = 0.0
    consumer.drain.return_value = Taken(MagicMock() for _ in range(3))
    registry = CollectorRegistry()
    loop = DetectorLoop(
        consumer, delivery, restorer(), assignment, Mock(), intake, NOT_JUDGED, Mock(),
        DetectorMetrics(registry, "demo"), Mock(), Mock(), shutdown, NoClosing(),
    )  # fmt: skip
    loop.run()
    on_assign, on_revoke, on_lost = consumer.subscribe.call_args.args
    on_assign([0])
    on_revoke([0])
    on_lost([0])

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"stockpipeline_detector_{name}", {"pipeline": "demo", **labels})

    assert (value("batch_records_count"), value("batch_records_sum")) == (1, 3)
    assert value("stage_seconds_count", stage="take") == 1
    assert value("rebalances_total") == 3
    delivery.processed.assert_called_once_with({0: 3})
    assignment.processed.assert_called_once_with({0: 3})


def test_partitions_whose_histories_have_changed_begin_anew_from_what_is_committed() -> None:
    consumer, delivery, shutdown, detector = Mock(), Mock(), Mock(), Mock()
    type(shutdown).requested = PropertyMock(side_effect=[False, False, True])
    assignment = Assignment(["AAPL", "IBM", "MSFT"], 2)
    assignment.add([0, 1])
    for partition in (0, 1):
        assignment.found(partition, 0, 0)
        assignment.restored(partition)
    delivery.is_due.return_value = False
    delivery.seconds_left.return_value = 0.0
    consumer.drain.return_value = []
    restoring = restorer([1])
    restoring.restore_pending.return_value = None
    loop = DetectorLoop(
        consumer, delivery, restoring, assignment, detector, Mock(), NOT_JUDGED, Mock(), MagicMock(), Mock(),
        Mock(), shutdown, NoClosing(),
    )  # fmt: skip
    loop.run()
    assert delivery.commit.call_args_list[0].kwargs == {"wait": True}
    consumer.halt.assert_called_once_with([1])
    assert [call.args[0] for call in detector.forget.call_args_list] == list(assignment.symbols(1))
    restoring.restore_pending.assert_called_once_with()
    assert assignment.pending == [1], "nobody restored it here"
