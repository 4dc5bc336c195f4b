from unittest.mock import Mock

from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.closing import LATE_MS, LiveClosing


def test_bars_of_active_partitions_are_closed_once_a_second() -> None:
    symbols = [f"S{number}" for number in range(20)]
    assignment, detector, monotonic = Assignment(symbols, 2), Mock(), Mock(return_value=100.0)
    assignment.add([0, 1])
    assignment.restored(1)
    closing = LiveClosing(detector, assignment, lambda: 1_000_000.9, monotonic)
    assert closing.close() is detector.close_before.return_value
    detector.close_before.assert_called_once_with(1_000_000 - LATE_MS, list(assignment.symbols(1)))
    assert 0 < len(assignment.symbols(1)) < 20
    monotonic.return_value = 100.9
    assert closing.close() == []
    monotonic.return_value = 101.0
    closing.close()
    assert detector.close_before.call_count == 2
