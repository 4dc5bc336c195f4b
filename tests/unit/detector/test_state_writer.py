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
