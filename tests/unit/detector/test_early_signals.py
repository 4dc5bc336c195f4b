"""Signals that are sent at once, and the commits that follow in the background."""

import threading
from collections.abc import Iterator
from unittest.mock import ANY, MagicMock, Mock, call

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from stockpipeline.adapters.kafka_early import Batch
from stockpipeline.adapters.kafka_transactions import TransactionFailed
from stockpipeline.api import PipelineNames
from stockpipeline.detector.early_signals import EarlySignals
from stockpipeline.detector.schedule import CommitSchedule
from stockpipeline.signals.signal import Signal

SIGNAL = Signal("id", "test/demo", "IBM", "rule", "buy", 1.0, 1, "2013-01-02", {}, 1.0, "replay")
TICK = Message("ticks", 0, 7, b"IBM", b"{}", timestamp=(TIMESTAMP_LOG_APPEND_TIME, 1))


def _always() -> bool:
    return True


class Parts:
    def __init__(self) -> None:
        self.kafka, self.metrics, self.state = Mock(), MagicMock(), Mock()
        self.kafka.early.next_batch.return_value = Batch()
        self.state.write.return_value = {0: 8}
        self.state.empty = False
        self.state.parts.side_effect = lambda _most: iter(self.parts)
        self.parts: list[dict[int, int]] = [{0: 8}]
        self.clock = 0.0
        self.delivery = EarlySignals(
            self.kafka.early,
            self.kafka.producer,
            self.kafka.consumer,
            PipelineNames("test", "demo"),
            self.metrics,
            self.state,
            CommitSchedule(0.1, lambda: self.clock),
            _always,
            _always,
            lambda: self.clock,
        )
        self.may_commit = threading.Event()
        self.kafka.producer.commit.side_effect = self._commit
        self.failure: Exception | None = None

    def _commit(self, *_arguments: object) -> None:
        assert self.may_commit.wait(20)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def parts() -> Iterator[Parts]:
    parts = Parts()
    yield parts
    parts.may_commit.set()


def begin_commit(parts: Parts) -> None:
    """The part of the only partition, and the end."""
    parts.delivery.commit(wait=False)
    parts.delivery.commit(wait=False)


def test_a_signal_is_sent_before_any_commit_and_counted_when_kafka_has_it(parts: Parts) -> None:
    parts.delivery.begin()
    parts.delivery.add_signal(SIGNAL, TICK)
    parts.kafka.early.send.assert_called_once()
    parts.kafka.producer.begin.assert_not_called()
    parts.metrics.signal.assert_not_called()
    parts.kafka.early.send.call_args.kwargs["delivered"]()
    parts.metrics.signal.assert_called_once_with(SIGNAL.id, "rule", "buy", ANY)


def test_a_commit_waits_for_the_signals_and_lets_ticks_be_taken_meanwhile(parts: Parts) -> None:
    parts.delivery.begin()
    begin_commit(parts)
    assert parts.delivery.open
    parts.delivery.begin()
    parts.clock = 1.0
    assert not parts.delivery.is_due(caught_up=True, far_behind=False), "one commit at a time"
    assert parts.delivery.seconds_left() > 0, "the loop does not spin"
    parts.may_commit.set()
    parts.delivery.commit(wait=True)
    assert not parts.delivery.open
    order = [made[0] for made in parts.kafka.mock_calls if made[0] in ("early.wait_for", "producer.commit")]
    assert order == ["early.wait_for", "producer.commit"] * 2
    assert parts.kafka.producer.begin.mock_calls == [call(), call()]


def test_a_commit_that_failed_in_the_background_is_noticed_and_aborted(parts: Parts) -> None:
    parts.failure = TransactionFailed("fenced")
    parts.delivery.begin()
    begin_commit(parts)
    parts.may_commit.set()
    with pytest.raises(TransactionFailed):
        parts.delivery.commit(wait=True)
    parts.delivery.abort()
    parts.kafka.producer.abort.assert_called_once()
    parts.state.clear.assert_called_once_with()
    assert not parts.delivery.open


def test_giving_up_ends_a_commit_that_is_under_way(parts: Parts) -> None:
    parts.failure = TransactionFailed("fenced")
    parts.delivery.begin()
    begin_commit(parts)
    parts.may_commit.set()
    parts.delivery.abort()
    parts.kafka.producer.abort.assert_called_once()
    assert not parts.delivery.open


def test_without_a_transaction_there_is_nothing_to_abort_in_kafka(parts: Parts) -> None:
    parts.delivery.begin()
    parts.delivery.abort()
    parts.kafka.producer.abort.assert_not_called()
    assert not parts.delivery.open


def begin_to_write(parts: Parts, steps: int) -> None:
    for _ in range(steps):
        assert parts.delivery.is_due(caught_up=True, far_behind=False)
        assert parts.delivery.seconds_left() == 0
        parts.delivery.commit(wait=False)
        parts.kafka.producer.commit.assert_not_called()
        assert not parts.delivery.is_due(caught_up=True, far_behind=False), "others have the processor now"
        assert 0 < parts.delivery.seconds_left() < 0.1
        parts.clock += 0.1


def test_a_transaction_is_written_in_parts_between_which_ticks_are_taken(parts: Parts) -> None:
    parts.may_commit.set()
    parts.parts = [{}, {0: 8}, {1: 5}]
    parts.delivery.begin()
    parts.clock = 1.0
    begin_to_write(parts, 3)
    parts.delivery.commit(wait=False)
    while parts.delivery.open:
        parts.delivery.poll()
    parts.kafka.producer.begin.assert_called_once_with()
    assert parts.kafka.producer.commit.call_args.args[1] == {0: 8, 1: 5}
    parts.state.committed.assert_called_once_with()


def test_waiting_for_the_commit_means_all_that_is_left_of_it(parts: Parts) -> None:
    parts.may_commit.set()
    parts.parts = [{0: 8}, {}, {1: 5}]
    # Ticks of partition 0 were taken after it was written.
    parts.state.write.return_value = {0: 9, 1: 5}
    parts.delivery.begin()
    parts.clock = 1.0
    begin_to_write(parts, 2)
    parts.delivery.commit(wait=True)
    parts.kafka.producer.begin.assert_called_once_with()
    assert parts.kafka.producer.commit.call_args.args[1] == {0: 9, 1: 5}
    assert not parts.delivery.open


def test_giving_up_forgets_the_offsets_that_were_written(parts: Parts) -> None:
    parts.may_commit.set()
    parts.delivery.begin()
    parts.clock = 1.0
    begin_to_write(parts, 1)
    parts.delivery.abort()
    parts.kafka.producer.abort.assert_called_once()
    parts.state.write.return_value = {1: 5}
    parts.delivery.begin()
    parts.delivery.commit(wait=True)
    assert parts.kafka.producer.commit.call_args.args[1] == {1: 5}


def test_nothing_to_write_is_no_transaction(parts: Parts) -> None:
    parts.state.empty = True
    parts.delivery.begin()
    parts.delivery.commit(wait=False)
    parts.kafka.producer.begin.assert_not_called()
    assert not parts.delivery.open


def test_a_detector_far_behind_writes_all_at_once(parts: Parts) -> None:
    parts.delivery.begin()
    parts.clock = 2.0
    assert parts.delivery.is_due(caught_up=False, far_behind=True)
    parts.delivery.commit(wait=False)
    parts.state.parts.assert_not_called()
    parts.state.write.assert_called_once_with()
