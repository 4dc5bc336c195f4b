"""Letting go: without hurry while the lease lasts, and with an end once it is over."""

from __future__ import annotations

from typing import cast

import pytest

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.producer.share.beats import LET_GO_SECONDS
from stockpipeline.producer.share.letting_go import LettingGo


class FakeKafka:
    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.abandoned = False

    def flush(self, _seconds: float) -> int:
        return self.waiting

    def abandon(self) -> int:
        self.abandoned = True
        return self.waiting


def test_with_a_lease_it_waits_as_long_as_it_takes() -> None:
    kafka, now = FakeKafka(3), 0.0
    going = LettingGo(cast(KafkaProducer, kafka), lambda: True, clock=lambda: now)
    for now in (0.0, 100.0, 1000.0):  # noqa: B007 - the clock reads it
        assert not going.done(0.0)
    kafka.waiting = 0
    assert going.done(0.0)
    assert not kafka.abandoned


def test_without_a_lease_what_kafka_does_not_take_is_thrown_away() -> None:
    kafka, now = FakeKafka(3), 0.0
    going = LettingGo(cast(KafkaProducer, kafka), lambda: False, lambda: 2, clock=lambda: now)
    assert not going.done(0.0)
    now = LET_GO_SECONDS / 2
    assert not going.done(0.0)
    now = LET_GO_SECONDS
    with pytest.raises(KafkaFatal, match="5 ticks were thrown away"):
        going.done(0.0)
    assert kafka.abandoned


def test_what_is_not_even_handed_over_is_waited_for_as_well() -> None:
    waiting = [1]
    going = LettingGo(cast(KafkaProducer, FakeKafka(0)), lambda: True, lambda: waiting[0])
    assert not going.done(0.0)
    waiting[0] = 0
    assert going.done(0.0)
