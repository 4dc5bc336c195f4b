"""Reading the benchmark's partition: from where, and which of its messages are trades."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import Mock

import pytest

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.detector import benchmark_feed
from stockpipeline.detector.benchmark_feed import BenchmarkFeed
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MarketSession, Tick, encode_tick

OPEN = 1_385_476_200_000
"""2013-11-26 09:30 in New York."""


class Topic:
    """A partition of ticks, and the readers of it."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.first_read: int | None = None
        self.fails = 0

    def add(self, symbol: str, ts: int, price: float, session: MarketSession = MarketSession.REGULAR) -> None:
        self.add_bytes(symbol, encode_tick(Tick(symbol, price, 1.0, ts, "replay", session)))

    def add_bytes(self, key: str, value: bytes) -> None:
        offset = len(self.messages)
        self.messages.append(Mock(key=lambda: key.encode(), value=lambda: value, offset=lambda: offset))

    def range(self, _partition: int) -> tuple[int, int]:
        return 0, len(self.messages)

    def read(self, ranges: Mapping[int, tuple[int, int]], _: Callable[[], bool]) -> Iterator[Any]:
        if self.fails:
            self.fails -= 1
            raise KafkaUnavailable("away")
        ((first, end),) = ranges.values()
        self.first_read = first
        yield from self.messages[first:end]

    def close(self) -> None: ...


class Detector:
    """Takes trades, and has waited since some time."""

    def __init__(self) -> None:
        self.trades: list[tuple[int, float]] = []
        self.oldest_wait: int | None = None

    def begin_benchmark(self, since_ms: int) -> None:
        self.trades, self.since_ms = [], since_ms

    def on_benchmark(self, ts: int, price: float) -> None:
        self.trades.append((ts, price))

    def compare(self) -> list[str]:
        return ["IBM"] if self.trades else []


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def detector() -> Detector:
    return Detector()


@pytest.fixture
def feed(
    topic: Topic, detector: Detector, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BenchmarkFeed]:
    monkeypatch.setattr(benchmark_feed, "_PAUSE_SECONDS", 0.001)
    made = BenchmarkFeed(lambda: topic, 2, "SPY", detector, calendar)  # type: ignore[arg-type,return-value]
    yield made
    made.close()


def advanced(feed: BenchmarkFeed, until: Callable[[], bool]) -> list[str]:
    """Advance until something is so; return which symbols the last step changed."""
    deadline = time.monotonic() + 30
    while True:
        changed = feed.advance()
        if until():
            return changed
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_nothing_is_read_before_it_is_needed(feed: BenchmarkFeed, topic: Topic) -> None:
    topic.add("SPY", OPEN, 1.0)
    assert feed.advance() == []
    assert topic.first_read is None


def test_trades_are_those_of_the_benchmark_in_sessions(
    feed: BenchmarkFeed, topic: Topic, detector: Detector
) -> None:
    topic.add("IBM", OPEN, 9.0)
    topic.add("SPY", OPEN - 60_000, 9.0)
    topic.add("SPY", OPEN, 9.0, MarketSession.PRE)
    topic.add_bytes("SPY", b"{")
    topic.add("SPY", OPEN + 1, 1.0)
    topic.add("SPY", OPEN + 2, 2.0)
    detector.oldest_wait = OPEN
    assert advanced(feed, lambda: len(detector.trades) == 2) == ["IBM"]
    assert detector.trades == [(OPEN + 1, 1.0), (OPEN + 2, 2.0)]
    topic.add("SPY", OPEN + 3, 3.0)
    advanced(feed, lambda: len(detector.trades) == 3)


def test_reading_begins_shortly_before_the_oldest_need(
    feed: BenchmarkFeed, topic: Topic, detector: Detector
) -> None:
    """Not at the beginning of a topic of days, and never too late; again, when an older need turns up."""
    for number in range(10_000):
        topic.add("SPY" if number % 2 else "IBM", OPEN + number, float(number))
    detector.oldest_wait = OPEN + 9_500
    advanced(feed, lambda: len(detector.trades) > 0 and detector.trades[-1][0] == OPEN + 9_999)
    assert OPEN + 5_000 < detector.trades[0][0] < OPEN + 9_500
    assert detector.since_ms == OPEN + 9_500
    detector.oldest_wait = OPEN + 100
    advanced(feed, lambda: len(detector.trades) == 5_000)
    assert [ts for ts, _ in detector.trades] == sorted(ts for ts, _ in detector.trades)


def test_a_broker_that_is_away_is_asked_again(feed: BenchmarkFeed, topic: Topic, detector: Detector) -> None:
    topic.fails = 3
    topic.add("SPY", OPEN, 1.0)
    detector.oldest_wait = OPEN
    advanced(feed, lambda: detector.trades == [(OPEN, 1.0)])
