"""Where to begin reading a partition."""

import pytest

from stockpipeline.detector.restore import first_offset


@pytest.mark.parametrize(
    ("committed", "first", "end", "offset"),
    [(None, 0, 0, 0), (None, 7, 20, 7), (10, 7, 20, 10), (20, 7, 20, 20), (7, 7, 20, 7)],
)
def test_goes_on_where_the_group_stopped(committed: int | None, first: int, end: int, offset: int) -> None:
    assert first_offset(committed, first, end) == (offset, "")


def test_ticks_past_retention_are_noticed() -> None:
    offset, explanation = first_offset(3, 10, 20)
    assert offset == 10
    assert "7 ticks are past its retention" in explanation


def test_a_topic_that_was_made_anew_is_noticed() -> None:
    offset, explanation = first_offset(30, 0, 20)
    assert offset == 0
    assert "made anew" in explanation
