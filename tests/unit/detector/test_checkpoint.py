"""Where to begin reading a partition, by what the state and the consumer group say."""

import pytest

from stockpipeline.detector.checkpoint import (
    StateLost,
    counted_ticks,
    decode_checkpoint,
    encode_checkpoint,
    first_offset,
)
from stockpipeline.signals.state import BrokenState


@pytest.mark.parametrize(
    ("counted", "first", "end", "offset"),
    [(None, 0, 0, 0), (None, 7, 20, 7), (10, 7, 20, 10), (20, 7, 20, 20), (7, 7, 20, 7)],
)
def test_goes_on_where_the_state_stopped(counted: int | None, first: int, end: int, offset: int) -> None:
    assert first_offset(counted, first, end) == (offset, "")


def test_ticks_past_retention_are_noticed() -> None:
    offset, explanation = first_offset(3, 10, 20)
    assert offset == 10
    assert "7 ticks are past its retention" in explanation


def test_a_topic_that_was_made_anew_is_noticed() -> None:
    offset, explanation = first_offset(30, 0, 20)
    assert offset == 0
    assert "made anew" in explanation


@pytest.mark.parametrize(
    ("committed", "stored", "any_state", "counted", "why"),
    [
        (None, None, False, None, "nothing was ever counted"),
        (0, None, False, 0, "a group that was set to the beginning has counted nothing"),
        (7, 7, True, 7, "one transaction wrote both"),
        (7, 7, False, 7, "no tick of the partition was one of its symbols'"),
        (None, 7, True, 7, "the group's offset expired, or the group was deleted"),
        (3, 7, True, 7, "the group was set back: the ticks between are counted already"),
        (7, None, True, 7, "the state is of a version without checkpoints"),
    ],
)
def test_the_state_says_what_is_counted(
    committed: int | None, stored: int | None, any_state: bool, counted: int | None, why: str
) -> None:
    assert counted_ticks(committed, stored, any_state) == counted, why


def test_a_lost_state_is_not_taken_for_a_new_one() -> None:
    with pytest.raises(StateLost, match="empty, but the group has committed 7"):
        counted_ticks(7, None, any_state=False)


def test_a_state_that_ends_too_early_is_noticed() -> None:
    with pytest.raises(StateLost, match="before offset 5, but the group has committed 7"):
        counted_ticks(7, 5, any_state=True)


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    assert decode_checkpoint(encode_checkpoint(1 << 40)) == 1 << 40


@pytest.mark.parametrize("value", [b"", b"nonsense", b"\x92\x02\x07"])
def test_another_versions_checkpoint_is_refused(value: bytes) -> None:
    with pytest.raises(BrokenState):
        decode_checkpoint(value)
