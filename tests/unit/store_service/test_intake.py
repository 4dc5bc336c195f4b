"""Where the store reads on in a topic."""

from __future__ import annotations

import pytest

from stockpipeline.store_service.intake import TopicMadeAnew, first_offset


@pytest.mark.parametrize(
    ("loaded", "first", "end", "want"),
    [
        (None, 0, 0, 0),
        (None, 40, 90, 40),
        (50, 40, 90, 50),
        (90, 40, 90, 90),
        (30, 40, 90, 40),  # retention deleted 30…39 before they were loaded: that is counted, not waited for
    ],
)
def test_reading_goes_on_where_the_master_ends(loaded: int | None, first: int, end: int, want: int) -> None:
    assert first_offset("ns.demo.signals/0", loaded, first, end) == want


def test_a_topic_that_ends_before_that_is_another_one() -> None:
    with pytest.raises(TopicMadeAnew, match=r"ns\.demo\.signals/0 ends at offset 3.*up to 5"):
        first_offset("ns.demo.signals/0", 5, 0, 3)
