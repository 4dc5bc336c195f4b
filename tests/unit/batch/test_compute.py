"""What the batch computes is what the stream computes, on every symbol, whatever is computed again."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from stockpipeline.api import BAR_FIELDS, DEFAULT_INDICATORS, Indicator
from stockpipeline.batch.compute import Computed, compute_all, compute_file, compute_part, indicators_schema
from stockpipeline.batch.lake import (
    PARTS,
    BrokenPart,
    Lake,
    actions_table,
    bars_table,
    float_column,
    part_of,
    read_part,
    symbol_rows,
    write_part,
)
from stockpipeline.indicators.engine import IndicatorEngine, Plan
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction, adjusted
from stockpipeline.market.packaged import PACKAGED_SYMBOLS, packaged_bars
from stockpipeline.market.sessions import session_from_date

INDICATORS = (*DEFAULT_INDICATORS, Indicator(name="again", function="RSI", parameters={"timeperiod": 14}))
SPLIT = CorporateAction(session_from_date(date(2012, 9, 12)), split=7.0, dividend=2.65)


def history(symbol: str) -> BarSeries:
    return packaged_bars(symbol).last(400)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with the packaged symbols, one of them split."""
    made = Lake(tmp_path)
    for part in {part_of(symbol) for symbol in PACKAGED_SYMBOLS}:
        symbols = [symbol for symbol in PACKAGED_SYMBOLS if part_of(symbol) == part]
        write_part(made.bars(part), bars_table({symbol: history(symbol) for symbol in symbols}))
    write_part(made.actions(part_of("AAPL")), actions_table({"AAPL": [SPLIT]}))
    return made


def test_every_symbol_has_the_values_of_the_stream(lake: Lake) -> None:
    plan = Plan(INDICATORS)
    compute_all(lake, INDICATORS)
    for symbol in PACKAGED_SYMBOLS:
        table = read_part(lake.indicators(part_of(symbol)), indicators_schema(plan))
        rows = dict(symbol_rows(table))[symbol]
        series = adjusted(history(symbol), [SPLIT] if symbol == "AAPL" else [])
        engine = IndicatorEngine(plan, BarSeries.empty())
        expected = []
        for bar in series:
            engine.commit(bar)
            expected.append(engine.past[0])
        for name, slot in plan.slots.items():
            if name not in BAR_FIELDS:
                np.testing.assert_array_equal(
                    float_column(table, name)[rows], [vector[slot] for vector in expected], f"{symbol} {name}"
                )


def test_only_what_changed_is_computed_again_and_to_the_same_bytes(lake: Lake) -> None:
    rows = sum(len(history(symbol)) for symbol in PACKAGED_SYMBOLS)
    assert compute_all(lake, INDICATORS) == Computed(PARTS, 0, rows)
    before = {part: lake.indicators(part).read_bytes() for part in range(PARTS)}
    assert compute_all(lake, INDICATORS) == Computed(0, PARTS, 0)
    assert compute_all(lake, INDICATORS, anew=True, threads=1).parts == PARTS
    assert {part: lake.indicators(part).read_bytes() for part in range(PARTS)} == before

    ibm = part_of("IBM")
    write_part(lake.actions(ibm), actions_table({"IBM": [SPLIT]}))
    assert compute_all(lake, INDICATORS).parts == 1
    assert lake.indicators(ibm).read_bytes() != before[ibm]
    assert compute_all(lake, DEFAULT_INDICATORS).parts == PARTS, "other indicators"


def test_a_run_that_was_killed_goes_on(lake: Lake) -> None:
    part = part_of("IBM")
    compute_file(lake, part, INDICATORS)
    whole = lake.indicators(part).read_bytes()
    # What a kill leaves: a file that is not whole, under another name.
    lake.indicators(part).with_suffix(".writing").write_bytes(whole[:100])
    os.truncate(lake.indicators(part), 100)
    assert compute_file(lake, part, INDICATORS) is not None
    assert lake.indicators(part).read_bytes() == whole


def test_what_cannot_be_names_file_and_symbol(lake: Lake) -> None:
    part = part_of("IBM")
    crash = CorporateAction(session_from_date(date(2012, 9, 12)), dividend=1e6)
    write_part(lake.actions(part), actions_table({"IBM": [crash]}))
    with pytest.raises(BrokenPart, match=rf"part-{part:02d}\.parquet: IBM: a dividend of 1000000\.0"):
        compute_file(lake, part, INDICATORS)
    bars = bars_table({"IBM": history("IBM")})
    backwards = bars.take(list(reversed(range(bars.num_rows))))
    write_part(lake.bars(part), backwards)
    with pytest.raises(BrokenPart, match=r"IBM: the bar of .* does not come after the bar before it"):
        compute_file(lake, part, INDICATORS)


def test_no_rows_have_the_columns_of_many() -> None:
    plan = Plan(INDICATORS)
    empty = compute_part(plan, bars_table({}), actions_table({}))
    assert empty.schema == indicators_schema(plan)
    assert empty.schema.names[:4] == ["symbol", "session", "rsi14", "macd"]
    assert empty.schema.names[-1] == "again"
