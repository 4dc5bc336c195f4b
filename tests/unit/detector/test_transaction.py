"""What is counted of a transaction, and when."""

from collections.abc import Callable
from unittest.mock import Mock

import pytest
from confluent_kafka import Message
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from structlog.testing import capture_logs

from stockpipeline.adapters.kafka_transactions import TransactionFailed
from stockpipeline.api import PipelineNames
from stockpipeline.detector.schedule import CommitSchedule
from stockpipeline.detector.transaction import Transaction
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.signal import Signal

SIGNAL = Signal("id", "test/demo", "IBM", "rule", "buy", 1.0, 1, "2013-01-02", {}, 1.0, "replay")
TICK = Message("ticks", 0, 7, b"IBM", b"{}")


def _always() -> bool:
    return True


def _parts(registry: CollectorRegistry | None = None) -> tuple[Transaction, Mock, Callable[[], float | None]]:
    registry = registry or CollectorRegistry()
    producer = Mock()
    transaction = Transaction(
        producer,
        Mock(),
        PipelineNames("test", "demo"),
        DetectorMetrics(registry, "demo"),
        Mock(),
        CommitSchedule(0.1),
        _always,
    )

    def measured() -> float | None:
        return registry.get_sample_value(
            "stockpipeline_detector_tick_to_signal_seconds_count", {"pipeline": "demo"}
        )

    return transaction, producer, measured


def test_a_signal_is_measured_when_its_commit_made_it_visible() -> None:
    transaction, _producer, measured = _parts()
    transaction.begin()
    transaction.add_signal(SIGNAL, TICK)
    assert measured() == 0
    transaction.commit(wait=False)
    assert measured() == 1


def test_the_measure_of_a_signal_has_its_id_as_an_example() -> None:
    registry = CollectorRegistry()
    transaction, _producer, _measured = _parts(registry)
    transaction.begin()
    transaction.add_signal(SIGNAL, TICK)
    transaction.commit(wait=False)
    text = generate_latest(registry).decode()
    buckets = [line for line in text.splitlines() if "tick_to_signal_seconds_bucket" in line]
    assert [line for line in buckets if f'# {{signal_id="{SIGNAL.id}"}}' in line]


def test_the_log_leads_from_a_signal_to_its_tick() -> None:
    transaction, _producer, _measured = _parts()
    transaction.begin()
    with capture_logs() as lines:
        transaction.add_signal(SIGNAL, TICK)
        assert lines == [], "nobody can read it yet"
        transaction.commit(wait=False)
    (line,) = lines
    assert (line["event"], line["signal_id"], line["source"]) == ("signal", SIGNAL.id, "replay")
    assert (line["partition"], line["offset"]) == (TICK.partition(), TICK.offset())


def test_a_signal_of_an_aborted_transaction_is_not_told_of() -> None:
    transaction, producer, measured = _parts()
    producer.commit.side_effect = TransactionFailed("fenced")
    transaction.begin()
    transaction.add_signal(SIGNAL, TICK)
    with capture_logs() as lines, pytest.raises(TransactionFailed):
        transaction.commit(wait=False)
    transaction.abort()
    assert measured() == 0
    assert lines == []


def test_stages_and_aborted_transactions_are_measured() -> None:
    registry = CollectorRegistry()
    transaction, _producer, _measured = _parts(registry)
    transaction.abort()  # none is open
    transaction.begin()
    transaction.commit(wait=False)
    transaction.begin()
    transaction.abort()
    labels = {"pipeline": "demo"}
    assert registry.get_sample_value("stockpipeline_detector_transactions_aborted_total", labels) == 1
    for stage in ("produce", "commit"):
        name = "stockpipeline_detector_stage_seconds_count"
        assert registry.get_sample_value(name, {**labels, "stage": stage}) == 1
