"""Replay → Kafka → detector → signals on real servers, against signals that were computed another way."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.cli.history import load
from stockpipeline.market.packaged import packaged_bars
from tests.integration.services.conftest import StartService
from tests.integration.services.support import (
    SYMBOLS,
    create_topics,
    eventually,
    pipeline,
    read_all,
    values,
)
from tests.oracle import Ohlcv, expected_signals

START = date(2013, 1, 2)
SESSIONS = len(packaged_bars("IBM").since(START))
"""From START to the end of the packaged bars: 41."""
TICKS_PER_BAR = 20
TOTAL = SESSIONS * TICKS_PER_BAR * len(SYMBOLS)


def history() -> dict[str, list[Ohlcv]]:
    """The closed bars before START."""
    return {
        symbol: [
            Ohlcv(
                date(1970, 1, 1) + timedelta(bar.session), bar.open, bar.high, bar.low, bar.close, bar.volume
            )
            for bar in packaged_bars(symbol).before(START)
        ]
        for symbol in SYMBOLS
    }


def ticks_in(config: PipelineConfig) -> list[dict[str, Any]]:
    return list(values(read_all(config.bootstrap_servers, config.names.topic(Topic.TICKS))))


def offsets(config: PipelineConfig) -> tuple[int, int]:
    """How many records the ticks topic has, and how many of them the detector has committed."""
    consumer = Consumer(
        {"bootstrap.servers": config.bootstrap_servers, "group.id": config.names.consumer_group}
    )
    try:
        topic = config.names.topic(Topic.TICKS)
        partitions = [TopicPartition(topic, number) for number in range(config.spec.kafka.partitions)]
        ends = [consumer.get_watermark_offsets(place, timeout=20)[1] for place in partitions]
        committed = [place.offset for place in consumer.committed(partitions, timeout=20)]
    finally:
        consumer.close()
    return sum(ends), sum(max(0, offset) for offset in committed)


def ticks_sent(config: PipelineConfig) -> int:
    return offsets(config)[0]


def processed_all(config: PipelineConfig) -> bool:
    """Whether the detector has committed every record of the ticks topic."""
    sent, committed = offsets(config)
    return sent == committed


def signals_in(config: PipelineConfig) -> list[dict[str, Any]]:
    return list(values(read_all(config.bootstrap_servers, config.names.topic(Topic.SIGNALS))))


def assert_ticks_are_complete(ticks: list[dict[str, Any]]) -> None:
    """No gap, no duplicate, each symbol's in order."""
    numbers = defaultdict(list)
    for tick in ticks:
        numbers[tick["symbol"]].append(tick["seq"])
    complete = list(range(1, SESSIONS * TICKS_PER_BAR + 1))
    assert {symbol: found == complete for symbol, found in numbers.items()} == dict.fromkeys(SYMBOLS, True)


def assert_signals_are_as_expected(config: PipelineConfig) -> None:
    """Each signal of the independent computation is there once, and no other."""
    expected = expected_signals("test/" + config.name, history(), ticks_in(config))
    assert len(expected) > 40, "the test needs signals to compare"
    found = signals_in(config)
    assert [name for name, count in Counter(signal["id"] for signal in found).items() if count > 1] == []
    found_by_id = {signal["id"]: signal for signal in found}
    expected_by_id = {signal["id"]: signal for signal in expected}
    assert found_by_id.keys() == expected_by_id.keys()
    for name, signal in expected_by_id.items():
        value = found_by_id[name].pop("values")
        assert value == pytest.approx(signal.pop("values"), rel=1e-9)
        assert found_by_id[name].pop("confidence") > 0.9
        assert found_by_id[name] == signal


def test_signals_equal_those_of_an_independent_computation(
    kafka: str, redis: str, start: StartService
) -> None:
    config = pipeline("parity", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR})
    create_topics(config)
    assert load(config) == 0
    detector, producer = start("detector", config), start("producer", config)
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")

    assert_ticks_are_complete(ticks_in(config))
    assert_signals_are_as_expected(config)

    assert producer.ready()
    assert producer.metric("stockpipeline_producer_ticks_total") == TOTAL
    assert detector.metric("stockpipeline_detector_ticks_total") == TOTAL
    assert detector.metric("stockpipeline_detector_signals_total") == len(signals_in(config))
    assert detector.metric("stockpipeline_detector_tick_to_signal_seconds_count") == len(signals_in(config))
    eventually(lambda: detector.metric("stockpipeline_detector_lag_records") == 0, "no lag is left")
    eventually(
        lambda: detector.metric("stockpipeline_detector_symbols") == len(SYMBOLS), "symbols are counted"
    )
    assert detector.ready()


def test_killed_services_lose_nothing_and_repeat_nothing(kafka: str, redis: str, start: StartService) -> None:
    config = pipeline("kills", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR, "speed": 100_000})
    create_topics(config)
    assert load(config) == 0
    detector, producer = start("detector", config), start("producer", config)
    chance = random.Random(7)
    for victim, share in (
        (producer, 0.15),
        (detector, 0.3),
        (producer, 0.5),
        (detector, 0.6),
        (detector, 0.8),
    ):
        eventually(
            lambda share=share: ticks_sent(config) >= share * TOTAL, f"{share:.0%} of the ticks are sent"
        )
        time.sleep(chance.uniform(0.0, 0.15))  # not a wait: the kill shall hit any point of a transaction
        victim.process.kill()
        victim.process.start()
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent", 60)
    eventually(lambda: processed_all(config), "all ticks are processed", 60)

    assert_ticks_are_complete(ticks_in(config))
    assert_signals_are_as_expected(config)
