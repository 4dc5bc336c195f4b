"""The plan of the sync: what is written, what begins to leave, what goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.batch.redis_sync import SyncPlan, plan_sync


def plan(
    wanted: dict[str, str], have: dict[str, str], leaving: dict[str, float] | None = None, now: float = 1000.0
) -> SyncPlan:
    return plan_sync(wanted, have, leaving or {}, now, grace_seconds=100.0)


def test_what_is_the_same_does_not_move() -> None:
    assert plan({"A": "1", "B": "2"}, {"A": "1", "B": "2"}) == SyncPlan(*[frozenset()] * 4)


def test_what_is_new_or_differs_is_written() -> None:
    assert plan({"A": "1", "B": "2", "C": "3"}, {"A": "1", "B": "9"}).write == {"B", "C"}


@pytest.mark.parametrize(
    ("leaving", "expected"),
    [
        ({}, (frozenset("B"), frozenset())),
        ({"B": 950.0}, (frozenset(), frozenset())),
        ({"B": 900.0}, (frozenset(), frozenset("B"))),
    ],
    ids=["begins", "in its grace", "over"],
)
def test_a_symbol_that_the_store_lacks_leaves_after_its_grace(
    leaving: dict[str, float], expected: tuple[frozenset[str], frozenset[str]]
) -> None:
    found = plan({"A": "1"}, {"A": "1", "B": "2"}, leaving)
    assert (found.leaving, found.remove) == expected
    assert not found.write


def test_a_symbol_that_comes_back_does_not_leave() -> None:
    found = plan({"A": "1", "B": "2"}, {"A": "1", "B": "2"}, {"B": 1.0})
    assert found == SyncPlan(frozenset(), frozenset(), frozenset("B"), frozenset())


digests = st.dictionaries(st.sampled_from("ABCDEF"), st.sampled_from("12"))


@given(digests, digests, st.dictionaries(st.sampled_from("ABCDEF"), st.floats(0, 1000)))
def test_doing_the_plan_leaves_nothing_to_do_but_wait(
    wanted: dict[str, str], have: dict[str, str], leaving: dict[str, float]
) -> None:
    first = plan(wanted, have, leaving)
    after = {symbol: digest for symbol, digest in have.items() if symbol not in first.remove}
    after |= {symbol: wanted[symbol] for symbol in first.write}
    marks = {symbol: since for symbol, since in leaving.items() if symbol not in first.back | first.remove}
    marks |= dict.fromkeys(first.leaving, 1000.0)
    assert plan(wanted, after, marks) == SyncPlan(*[frozenset()] * 4)
    assert wanted.items() <= after.items()
    assert marks.keys() == after.keys() - wanted.keys()
    assert not first.remove & wanted.keys()
