"""What the main loop does when the open transaction fails under its hands."""

from unittest.mock import MagicMock, Mock, PropertyMock

from stockpipeline.adapters.kafka_transactions import TransactionFailed
from stockpipeline.detector.closing import NoClosing
from stockpipeline.detector.loop import DetectorLoop
from stockpipeline.detector.performance import NOT_JUDGED


def test_a_transaction_that_fails_while_ticks_are_taken_is_aborted_and_done_again() -> None:
    consumer, delivery, assignment, intake, shutdown = Mock(), Mock(), Mock(), Mock(), Mock()
    type(shutdown).requested = PropertyMock(side_effect=[False, False, True])
    assignment.pending, assignment.owned, assignment.version, assignment.lag = [], [0], 1, 0
    delivery.is_due.return_value = False
    consumer.drain.return_value = [MagicMock()]
    intake.take.side_effect = TransactionFailed("a message was refused")
    delivery.seconds_left.return_value = 0.0
    loop = DetectorLoop(
        consumer, delivery, Mock(), assignment, Mock(), intake, NOT_JUDGED, Mock(), MagicMock(), Mock(),
        Mock(), shutdown, NoClosing(),
    )  # fmt: skip
    loop.run()
    delivery.abort.assert_called_once_with()
    delivery.processed.assert_not_called()
    assignment.forget_progress.assert_called_once_with()
    consumer.halt.assert_called_once_with([0])
