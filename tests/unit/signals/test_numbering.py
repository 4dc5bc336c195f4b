from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.signals.numbering import MAX_GAPS, Gap, take


class Taken:
    def __init__(self, newest: int = 0, gaps: list[Gap] | None = None) -> None:
        self.newest_number = newest
        self.gaps = gaps or []

    def take(self, number: int) -> bool:
        return take(self, number)


@given(st.integers(1, 1000), st.data())
def test_in_any_order_each_number_is_taken_once(start: int, data: st.DataObject) -> None:
    # Within reach of the gaps that are kept; the first number must come first.
    numbers = data.draw(st.permutations(range(start + 1, start + 2 * MAX_GAPS)))
    repeats = data.draw(st.lists(st.sampled_from(numbers), max_size=20))
    taken = Taken()
    assert taken.take(start)
    for number in numbers:
        assert taken.take(number)
        assert not taken.take(number)
    assert not any(taken.take(number) for number in [start, *repeats])
    assert (taken.newest_number, taken.gaps) == (max([start, *numbers]), [])


def test_a_repeat_changes_nothing() -> None:
    taken = Taken(10, [(3, 4)])
    assert not taken.take(10)
    assert not taken.take(2)
    assert (taken.newest_number, taken.gaps) == (10, [(3, 4)])


def test_gaps_split_and_close() -> None:
    taken = Taken(1)
    taken.take(8)
    assert taken.gaps == [(2, 7)]
    taken.take(4)
    assert taken.gaps == [(2, 3), (5, 7)]
    taken.take(2)
    taken.take(3)
    taken.take(7)
    assert taken.gaps == [(5, 6)]


def test_what_came_before_the_first_number_is_not_missing() -> None:
    taken = Taken()
    taken.take(500)
    assert taken.gaps == []
    assert not taken.take(499)


def test_the_oldest_gaps_are_given_up() -> None:
    taken = Taken(1)
    for number in range(3, 3 + 2 * (MAX_GAPS + 5), 2):
        taken.take(number)
    assert len(taken.gaps) == MAX_GAPS
    assert not taken.take(2)
    assert taken.take(taken.newest_number - 1)
