"""Downloads come into the lake once, checked, and do not undo what is better."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stockpipeline.batch.downloads import Download
from stockpipeline.batch.lake import ACTIONS, BARS, Lake, actions_of, part_of, read_part, series_of
from stockpipeline.batch.merge import merge
from stockpipeline.batch.outcomes import Outcome
from stockpipeline.batch.quality import RawBars
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction

TRADING = np.arange(100, dtype=np.int32)


def downloaded(
    days: list[int], close: float = 10.0, *, whole: bool = False, actions: tuple[CorporateAction, ...] = ()
) -> Download:
    prices = np.full(len(days), close)
    raw = RawBars(np.array(days, dtype=np.int32), (prices, prices, prices, prices.copy(), prices * 100))
    return Download("ACME", Outcome.OK, "", whole, raw, actions)


def held(lake: Lake) -> tuple[BarSeries, list[CorporateAction]]:
    part = part_of("ACME")
    series = {symbol: one for symbol, _, one in series_of(read_part(lake.bars(part), BARS))}
    return series["ACME"], actions_of(read_part(lake.actions(part), ACTIONS)).get("ACME", [])


def test_new_sessions_are_added_and_known_ones_corrected(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    dividend = CorporateAction(3, dividend=0.5)
    first = downloaded([1, 2, 3, 4], whole=True, actions=(dividend,))
    assert merge(lake, {"ACME": first}, TRADING) == []
    split = CorporateAction(5, split=2.0)
    later = downloaded([4, 5, 6], close=11.0, actions=(split,))
    assert merge(lake, {"ACME": later}, TRADING) == []
    series, actions = held(lake)
    assert series.sessions.tolist() == [1, 2, 3, 4, 5, 6]
    assert series.close.tolist() == [10, 10, 10, 11, 11, 11]
    assert actions == [dividend, split]

    before = lake.bars(part_of("ACME")).read_bytes()
    merge(lake, {"ACME": later}, TRADING)
    assert lake.bars(part_of("ACME")).read_bytes() == before, "again is as once"


def test_an_action_that_the_source_takes_back_is_gone(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    wrong, old = CorporateAction(4, split=3.0), CorporateAction(2, dividend=0.1)
    merge(lake, {"ACME": downloaded([1, 2, 3, 4], whole=True, actions=(old, wrong))}, TRADING)
    merge(lake, {"ACME": downloaded([4, 5])}, TRADING)
    assert held(lake)[1] == [old]


def test_a_whole_past_replaces_what_there_was(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    merge(lake, {"ACME": downloaded([1, 2, 3], actions=(CorporateAction(2),), whole=True)}, TRADING)
    merge(lake, {"ACME": downloaded([2, 3, 4], close=5.0, whole=True)}, TRADING)
    series, actions = held(lake)
    assert series.sessions.tolist() == [2, 3, 4]
    assert series.close.tolist() == [5, 5, 5]
    assert actions == []


def test_a_quarantined_bar_replaces_nothing_and_gaps_are_those_of_all(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    merge(lake, {"ACME": downloaded([1, 2, 3, 4, 5], whole=True)}, TRADING)
    bad = downloaded([3, 4, 5, 7])
    bad.raw.columns[3][1] = np.nan
    problems = merge(lake, {"ACME": bad}, TRADING)
    assert held(lake)[0].sessions.tolist() == [1, 2, 3, 4, 5, 7]
    assert [(one.session, one.problem) for one in problems] == [(4, "missing-price"), (6, "gap")]


def test_what_brought_nothing_changes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert merge(lake, {"ACME": Download("ACME", Outcome.DELISTED)}, TRADING) == []
    assert not lake.bars(part_of("ACME")).exists()
