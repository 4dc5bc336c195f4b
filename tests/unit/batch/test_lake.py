"""Parts hold what was put in, and the same rows are the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockpipeline.batch.lake import (
    ACTIONS,
    BARS,
    PARTS,
    BrokenPart,
    Lake,
    actions_of,
    actions_table,
    bars_table,
    part_of,
    read_part,
    series_of,
    write_part,
)
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.packaged import packaged_bars

SERIES = {"MSFT": packaged_bars("MSFT")[:30], "IBM": packaged_bars("IBM")[:20], "NONE": BarSeries.empty()}


def test_bars_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = Lake(tmp_path).bars(7)
    write_part(path, bars_table(SERIES))
    found = [(symbol, series) for symbol, _, series in series_of(read_part(path, BARS))]
    assert found == [("IBM", SERIES["IBM"]), ("MSFT", SERIES["MSFT"])]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_part(first, bars_table(SERIES), {"note": "x"})
    write_part(second, bars_table(dict(reversed(SERIES.items()))), {"note": "x"})
    assert first.read_bytes() == second.read_bytes()


def test_actions_come_back_by_symbol(tmp_path: Path) -> None:
    actions = {
        "IBM": [CorporateAction(20, split=2.0), CorporateAction(10, dividend=0.5)],
        "A": [CorporateAction(3)],
    }
    path = Lake(tmp_path).actions(0)
    write_part(path, actions_table(actions))
    assert actions_of(read_part(path, ACTIONS)) == {
        "A": [CorporateAction(3)],
        "IBM": [CorporateAction(10, dividend=0.5), CorporateAction(20, split=2.0)],
    }
    assert actions_of(actions_table({})) == {}


def test_no_file_is_no_rows_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = Lake(tmp_path).bars(1)
    assert read_part(path, BARS).num_rows == 0
    assert list(series_of(read_part(path, BARS))) == []
    write_part(path, bars_table(SERIES))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenPart, match=r"part-01\.parquet cannot be read"):
        read_part(path, BARS)


def test_the_part_of_a_symbol_never_changes() -> None:
    assert (part_of("AAPL"), part_of("MSFT"), part_of("BRK.B")) == (28, 59, 44)
    assert {part_of(f"S{number:04d}") for number in range(4000)} == set(range(PARTS))
