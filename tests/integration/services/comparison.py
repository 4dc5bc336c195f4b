"""Comparing what a pipeline made with what it should have made."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.market.packaged import packaged_bars
from tests.integration.services.support import SYMBOLS, read_all, values
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
    """How many records the ticks topic has, and how many of them the detector has committed.

    (0, -1) while the broker does not say.
    """
    consumer = Consumer(
        {"bootstrap.servers": config.bootstrap_servers, "group.id": config.names.consumer_group}
    )
    try:
        topic = config.names.topic(Topic.TICKS)
        partitions = [TopicPartition(topic, number) for number in range(config.spec.kafka.partitions)]
        ends = [consumer.get_watermark_offsets(place, timeout=20)[1] for place in partitions]
        committed = [place.offset for place in consumer.committed(partitions, timeout=20)]
    except KafkaException:
        return 0, -1
    finally:
        consumer.close()
    return sum(ends), sum(max(0, offset) for offset in committed)


def ticks_sent(config: PipelineConfig) -> int:
    return offsets(config)[0]


def ticks_processed(config: PipelineConfig) -> int:
    return offsets(config)[1]


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


def assert_signals_are_as_expected(
    config: PipelineConfig, ticks: list[dict[str, Any]] | None = None, *, repeated: bool = False
) -> None:
    """Each signal of the independent computation on the ticks (by default the topic's) is there once.

    `repeated`: some may be there more than once, and are the same then.
    """
    expected = expected_signals("test/" + config.name, history(), ticks or ticks_in(config))
    assert len(expected) > 40, "the test needs signals to compare"
    found = signals_in(config)
    if repeated:
        found = [json.loads(signal) for signal in {json.dumps(signal, sort_keys=True) for signal in found}]
    assert [name for name, count in Counter(signal["id"] for signal in found).items() if count > 1] == []
    found_by_id = {signal["id"]: signal for signal in found}
    expected_by_id = {signal["id"]: signal for signal in expected}
    assert found_by_id.keys() == expected_by_id.keys()
    for name, signal in expected_by_id.items():
        value = found_by_id[name].pop("values")
        assert value == pytest.approx(signal.pop("values"), rel=1e-9)
        assert found_by_id[name].pop("confidence") > 0.9
        assert found_by_id[name] == signal
