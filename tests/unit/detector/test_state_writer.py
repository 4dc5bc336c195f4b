"""What is written into the state topic, and where."""

from collections.abc import Iterable
from typing import Any, cast
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.adapters.kafka_transactions import KeepWaiting
from stockpipeline.detector.checkpoint import KEY, encode_checkpoint
from stockpipeline.detector.state_writer import StateWriter
from stockpipeline.signals.state import StateRecord

NAMES = [*"ABCDEFGHIJ"]


def _always() -> bool:
    return True


def test_each_changed_symbol_is_written_once_in_its_partition() -> None:
    producer = Mock()
    partitions = {"IBM": 3, "AAPL": 5}
    state = StateWriter(
        producer, "state", lambda symbol: [StateRecord(symbol, symbol.encode())], partitions, _always
    )
    state.changed(["IBM", "AAPL"])
    state.changed(["IBM"])
    state.processed({3: 7})
    state.processed({3: 9, 5: 1})
    assert state.write() == {3: 9, 5: 1}
    sent = {(one.args[2], one.args[1], one.kwargs["partition"]) for one in producer.send.mock_calls}
    assert sent == {
        ("IBM", b"IBM", 3),
        ("AAPL", b"AAPL", 5),
        (KEY, encode_checkpoint(9), 3),
        (KEY, encode_checkpoint(1), 5),
    }
    assert producer.send.call_count == 4
    assert state.write() == {}
    assert producer.send.call_count == 4


class Topic:
    """What was written, by partition, in order."""

    def __init__(self) -> None:
        self.written: dict[int, list[tuple[str, bytes]]] = {}

    def send(
        self, _topic: str, value: bytes, key: str, _keep_waiting: KeepWaiting, *, partition: int
    ) -> None:
        self.written.setdefault(partition, []).append((key, value))


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2), min_size=1),
    st.integers(1, 5),
    st.lists(st.lists(st.sampled_from(NAMES), max_size=6)),
)
def test_a_partition_is_complete_when_all_that_changed_of_it_is_written(
    partitions: dict[str, int], least: int, meanwhile: list[list[str]]
) -> None:
    """Symbols are counters of their ticks; the offset of a partition is the sum of its counters."""
    topic, ticks = Topic(), dict.fromkeys(partitions, 0)

    def take(names: Iterable[str]) -> None:
        taken = [name for name in names if name in partitions]
        for name in taken:
            ticks[name] += 1
        state.changed(taken)
        state.processed({partitions[name]: sum_of(partitions[name]) for name in taken})

    def sum_of(partition: int) -> int:
        return sum(count for name, count in ticks.items() if partitions[name] == partition)

    def changes(symbol: str) -> list[StateRecord]:
        return [StateRecord(symbol, str(ticks[symbol]).encode())]

    state = StateWriter(cast(Any, topic), "state", changes, partitions, _always)
    assert state.empty
    take(partitions)
    coming, positions = iter(meanwhile), dict[int, int]()
    for complete in state.parts(least):
        for partition, offset in complete.items():
            stored = dict(topic.written[partition])
            assert stored.pop(KEY) == encode_checkpoint(offset)
            assert {name: int(count) for name, count in stored.items()} == {
                name: count for name, count in ticks.items() if partitions[name] == partition
            }
            assert offset == sum_of(partition)
        positions |= complete
        take(next(coming, ()))
    assert positions.keys() == set(partitions.values())
    # What came after its partition was complete is left for the next time, and nothing else.
    left = {partition: sum_of(partition) for partition in positions}
    assert state.write() == {p: offset for p, offset in left.items() if positions[p] != offset}
    assert state.empty


def test_no_step_has_more_than_so_many_symbols_unless_more_change_than_are_written() -> None:
    topic = Topic()
    partitions = dict.fromkeys(map(str, range(100)), 0)
    state = StateWriter(
        cast(Any, topic), "state", lambda symbol: [StateRecord(symbol, b"")], partitions, _always
    )
    state.changed(partitions)
    before, steps = 0, []
    for _ in state.parts(10):
        steps.append(len(topic.written[0]) - before)
        before = len(topic.written[0])
    assert steps == [10] * 10

    state.changed(partitions)
    calls = 0
    for _ in state.parts(10):
        state.changed(partitions)
        calls += 1
    assert calls == 21


def test_a_partition_is_written_in_few_steps_however_many_symbols_it_has() -> None:
    partitions = dict.fromkeys(map(str, range(4000)), 0)
    state = StateWriter(Mock(), "state", lambda symbol: [StateRecord(symbol, b"")], partitions, _always)
    state.changed(partitions)
    assert len(list(state.parts(10))) == 10
