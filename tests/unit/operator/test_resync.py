"""The resync: what a watch has missed at once, everything else in turn."""

from __future__ import annotations

from collections import OrderedDict

from stockpipeline_operator.controller.resync import Version, due
from stockpipeline_operator.reconcile.reconciler import Key


def keys(count: int) -> list[Key]:
    return [("default", f"p{number}") for number in range(count)]


def versions(found: list[Key], generation: int = 1) -> dict[Key, Version]:
    return {key: (f"uid of {key[1]}", generation, False) for key in found}


def test_what_is_new_changed_deleted_or_made_anew_is_looked_at() -> None:
    same, changed, gone, deleting, again, new = keys(6)
    known = versions([same, changed, gone, deleting, again])
    listed = versions([same, new]) | versions([changed], generation=2)
    listed |= {deleting: (*known[deleting][:2], True), again: ("another uid", 1, False)}
    found = due(listed, known, OrderedDict(), 0, everything=False)
    assert found == {changed, gone, deleting, again, new}


def test_all_others_come_in_turn() -> None:
    listed = versions(keys(10))
    rotation: OrderedDict[Key, None] = OrderedDict()
    turns = [due(listed, listed, rotation, 4, everything=False) for _ in range(5)]
    assert [len(turn) for turn in turns] == [4] * 5
    assert set.union(*turns[:3]) == set(listed), "everyone within three turns"


def test_the_rotation_forgets_what_is_gone() -> None:
    rotation: OrderedDict[Key, None] = OrderedDict()
    due(versions(keys(5)), {}, rotation, 2, everything=False)
    due(versions(keys(2)), versions(keys(5)), rotation, 2, everything=False)
    assert set(rotation) == set(keys(2))


def test_after_events_were_missed_everything_is_looked_at() -> None:
    listed = versions(keys(100))
    assert due(listed, listed, OrderedDict(), 3, everything=True) == set(listed)
