"""Reading backwards in windows."""

from unittest.mock import Mock

import pytest

from stockpipeline.adapters.kafka_tail import backwards


def _always() -> bool:
    return True


def _windows(first: int, end: int) -> list[tuple[int, int]]:
    reader = Mock()
    reader.range.return_value = (first, end)
    reader.read.side_effect = lambda ranges, _keep_waiting: ranges[3]
    return [window for window in backwards(reader, 3, _always) if isinstance(window, tuple)]


@pytest.mark.parametrize(("first", "end"), [(0, 1), (0, 1000), (5, 1006), (17, 100_000)])
def test_the_windows_cover_each_offset_once(first: int, end: int) -> None:
    windows = _windows(first, end)
    assert [offset for window in reversed(windows) for offset in range(*window)] == list(range(first, end))


def test_the_newest_window_comes_first_and_each_is_twice_as_long() -> None:
    assert _windows(0, 10_000) == [(9000, 10_000), (7000, 9000), (3000, 7000), (0, 3000)]


def test_an_empty_partition_has_none() -> None:
    assert _windows(7, 7) == []
