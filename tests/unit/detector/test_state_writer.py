"""What is written into the state topic, and where."""

from unittest.mock import Mock

from stockpipeline.detector.checkpoint import KEY, encode_checkpoint
from stockpipeline.detector.state_writer import StateWriter
from stockpipeline.signals.state import StateRecord


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


def test_partitions_go_into_groups_of_so_many_symbols() -> None:
    partitions = {"A": 0, "B": 0, "C": 1, "D": 2, "E": 2, "F": 2, "G": 2}
    state = StateWriter(Mock(), "state", lambda _symbol: [], partitions, _always)
    assert state.slices(3) == []
    state.changed(partitions)
    state.processed({0: 7, 3: 1})
    groups = state.slices(3)
    assert sorted(partition for group in groups for partition in group) == [0, 1, 2, 3]
    assert [2] in groups, "one partition, however large, is never divided"
    assert all(
        sum(name_partition in group for name_partition in partitions.values()) <= 4 for group in groups
    )


def test_a_partition_is_written_without_the_others() -> None:
    producer, performance = Mock(), Mock()
    state = StateWriter(
        producer, "state", lambda symbol: [StateRecord(symbol, b"")], {"A": 0, "B": 1}, _always, performance
    )
    state.changed(["A", "B"])
    state.processed({0: 7, 1: 8})
    assert state.write([1]) == {1: 8}
    assert {one.kwargs["partition"] for one in producer.send.mock_calls} == {1}
    performance.write.assert_called_once_with(["B"])
    state.changed(["B"])
    assert state.write() == {0: 7}
    assert sorted(performance.write.call_args.args[0]) == ["A", "B"]
