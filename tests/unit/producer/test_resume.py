"""Which ticks were sent before."""

import json
from collections.abc import Mapping, Sequence
from unittest.mock import Mock

import pytest
from confluent_kafka import Message

from stockpipeline.producer.resume import SentBefore, highest_numbers
from stockpipeline.signals.state import VERSION, Snapshot, snapshot_record


def _tick(symbol: str, seq: int | None, source: str = "replay") -> Message:
    fields = {
        "symbol": symbol,
        "price": 1,
        "volume": 1,
        "ts": 1357137000000,
        "source": source,
        "session": "regular",
    }
    return Message(
        "ticks", 0, 1, None, json.dumps({**fields, **({} if seq is None else {"seq": seq})}).encode()
    )


def test_the_highest_number_of_each_symbol_counts_whatever_their_order() -> None:
    messages = [_tick("IBM", 1), _tick("AAPL", 7), _tick("IBM", 3), _tick("IBM", 2)]
    assert highest_numbers(messages, "replay") == {"IBM": 3, "AAPL": 7}


def test_what_another_source_or_nobody_numbered_is_passed_by() -> None:
    messages = [
        _tick("IBM", 9, source="other"),
        _tick("IBM", None),
        Message("ticks", 0, 2, None, b"nonsense"),
        Message("ticks", 0, 3, None, b'{"symbol":' * 100_000),
    ]
    assert highest_numbers(messages, "replay") == {}


class FakeReader:
    """A topic with one partition, of which the first offsets may be gone."""

    def __init__(self, topic: str, messages: Sequence[Message], first: int = 0) -> None:
        self.topic = topic
        self._messages = messages
        self._first = first
        self.read_offsets: list[int] = []

    def partitions(self) -> list[int]:
        return [0]

    def range(self, _partition: int) -> tuple[int, int]:
        return self._first, self._first + len(self._messages)

    def read(self, ranges: Mapping[int, tuple[int, int]], _keep_waiting: object) -> list[Message]:
        offsets = range(*ranges[0])
        self.read_offsets += offsets
        return [self._messages[offset - self._first] for offset in offsets]


def _snapshot(symbol: str, number: int) -> Message:
    snapshot = Snapshot(VERSION, "digest", 0, None, [], None, number, [])
    return Message("state", 0, 1, symbol.encode(), snapshot_record(symbol, snapshot).value)


def _last_numbers(ticks: FakeReader, state: FakeReader, symbols: list[str]) -> dict[str, int]:
    sent_before = SentBefore(ticks, state, lambda: True, Mock())  # type: ignore[arg-type]
    return sent_before.last_numbers(symbols, "replay")


def test_reads_no_further_back_than_needed() -> None:
    ticks = FakeReader("ticks", [_tick("IBM", number) for number in range(1, 5001)])
    assert _last_numbers(ticks, FakeReader("state", []), ["IBM"]) == {"IBM": 5000}
    assert len(ticks.read_offsets) == 1000


def test_a_symbol_behind_many_others_is_found_without_reading_anything_twice() -> None:
    ticks = FakeReader("ticks", [_tick("FB", 3), *[_tick("IBM", number) for number in range(1, 5001)]])
    assert _last_numbers(ticks, FakeReader("state", []), ["IBM", "FB"]) == {"IBM": 5000, "FB": 3}
    assert sorted(ticks.read_offsets) == list(range(5001))


def test_what_is_past_retention_is_known_from_the_detectors_state() -> None:
    state = FakeReader("state", [_snapshot("FB", 4), _snapshot("FB", 7), _snapshot("IBM", 8)])
    ticks = FakeReader("ticks", [_tick("IBM", 9)], first=1000)
    assert _last_numbers(ticks, state, ["IBM", "FB"]) == {"IBM": 9, "FB": 7}


@pytest.mark.parametrize("symbol", ["IBM", "FB"])
def test_a_topic_that_lost_nothing_is_believed(symbol: str) -> None:
    state = FakeReader("state", [_snapshot(symbol, 7)])
    assert _last_numbers(FakeReader("ticks", []), state, [symbol]) == {}
    assert state.read_offsets == []
