"""The scan finds what the detector would, says why, and keeps the most important."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockpipeline.api import DEFAULT_INDICATORS, Rule, Side, Tier
from stockpipeline.batch.compute import compute_all
from stockpipeline.batch.lake import (
    BrokenPart,
    Lake,
    actions_table,
    bars_table,
    part_of,
    write_part,
)
from stockpipeline.batch.scan import Scanner
from stockpipeline.batch.watchlist import (
    SCAN_INDICATORS,
    SCAN_RULES,
    Finding,
    choose,
    watchlist_table,
)
from stockpipeline.indicators.engine import Plan
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.signals.evaluation import Evaluator
from stockpipeline.signals.reading import readings
from stockpipeline.signals.rules import compile_rule
from stockpipeline.signals.tape import Tape

SYMBOL = "AAPL"
PART = part_of(SYMBOL)


def lake_of(folder: Path, series: BarSeries) -> Lake:
    lake = Lake(folder)
    write_part(lake.bars(PART), bars_table({SYMBOL: series}))
    compute_all(lake, SCAN_INDICATORS, parts=[PART])
    return lake


def found(lake: Lake, session: int, scanner: Scanner | None = None) -> list[Finding]:
    return list((scanner or Scanner(SCAN_INDICATORS, SCAN_RULES)).scan_all(lake, session, [PART]))


def detected(series: BarSeries, end: int) -> set[str]:
    """The rules that the detector would fire on a tick that makes bar ``end`` what it was at its close."""
    plan = Plan(SCAN_INDICATORS)
    rules = [compile_rule(rule, plan.slots) for rule in SCAN_RULES]
    evaluator = Evaluator(plan, readings(plan, rules), series[:end], None)
    bar = series.bar(end)
    tape = Tape()
    tape.open, tape.high, tape.low, tape.close, tape.volume = (
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
    )
    return {firing.rule.name for firing in evaluator.evaluate(tape) or []}


def test_every_session_gives_what_the_detector_would_at_its_close(tmp_path: Path) -> None:
    series = packaged_bars(SYMBOL)[:420]
    lake = lake_of(tmp_path, series)
    scanner = Scanner(SCAN_INDICATORS, SCAN_RULES)
    seen: set[str] = set()
    for end in range(40, len(series), 3):
        names = {finding.rule for finding in found(lake, int(series.sessions[end]), scanner)}
        assert names == detected(series, end), end
        seen |= names
    assert seen == {rule.name for rule in SCAN_RULES}, "each default rule holds somewhere"


def test_symbols_without_a_bar_of_the_session_are_not_scanned(tmp_path: Path) -> None:
    series = packaged_bars(SYMBOL)[:300]
    lake = lake_of(tmp_path, series)
    last = int(series.sessions[-1])
    always = Scanner(SCAN_INDICATORS, [Rule(name="always", side=Side.BUY, when="close > 0")])
    assert [one.symbol for one in found(lake, last, always)] == [SYMBOL]
    assert found(lake, last + 1, always) == []
    assert found(lake, int(series.sessions[0]) - 1, always) == []


def test_prices_before_a_split_are_in_terms_of_the_newest(tmp_path: Path) -> None:
    """100 → 51 with a 2:1 split is a rise of 2 %, not a crash."""
    rows = [Bar(day, 100.0, 101.0, 99.0, 100.0, 1000.0) for day in range(9)]
    series = BarSeries.from_bars([*rows, Bar(9, 51.0, 51.5, 50.5, 51.0, 2000.0)])
    lake = lake_of(tmp_path, series)
    crash = Scanner(SCAN_INDICATORS, [Rule(name="crash", side=Side.SELL, when="close / prev(close) < 0.9")])
    assert [one.rule for one in found(lake, 9, crash)] == ["crash"]
    write_part(lake.actions(PART), actions_table({SYMBOL: [CorporateAction(9, split=2.0)]}))
    assert found(lake, 9, crash) == []


def test_a_rule_that_divides_by_zero_does_not_hold(tmp_path: Path) -> None:
    series = packaged_bars(SYMBOL)[:50]
    rule = Rule(name="odd", side=Side.BUY, when="close / (close - close) > 1 or close > 0")
    assert found(lake_of(tmp_path, series), int(series.sessions[-1]), Scanner(SCAN_INDICATORS, [rule])) == []


def test_indicators_of_other_bars_are_refused(tmp_path: Path) -> None:
    series = packaged_bars(SYMBOL)[:300]
    lake = lake_of(tmp_path, series)
    write_part(lake.bars(PART), bars_table({SYMBOL: series[:299]}))
    with pytest.raises(BrokenPart, match="compute the indicators first"):
        found(lake, int(series.sessions[-2]))


def test_missing_indicators_are_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    series = packaged_bars(SYMBOL)[:300]
    write_part(lake.bars(PART), bars_table({SYMBOL: series}))
    compute_all(lake, DEFAULT_INDICATORS, parts=[PART])
    with pytest.raises(BrokenPart, match=r"expected .*, rvol20"):
        found(lake, int(series.sessions[-1]))


def finding(symbol: str, order: int, price: float = 10.0) -> Finding:
    return Finding(symbol, order, f"rule-{order}", "buy", price, (("rsi14", 21.23456),))


def test_each_symbol_comes_once_under_its_most_important_rule() -> None:
    picks = choose([finding("B", 1), finding("B", 0), finding("A", 1), finding("C", 0)], 10)
    assert [(pick.position, pick.finding.symbol, pick.finding.rule) for pick in picks] == [
        (1, "B", "rule-0"),
        (2, "C", "rule-0"),
        (3, "A", "rule-1"),
    ]
    assert picks[0].reason == "rule-0 (rsi14 21.23); rule-1 (rsi14 21.23)"


def test_large_companies_come_first_and_the_size_is_limited() -> None:
    tiers = (Tier(name="mega", minimum_market_cap=200), Tier(name="small", minimum_market_cap=1))
    caps = {"A": 5.0, "B": 300.0, "C": 200.0}
    picks = choose([finding(symbol, 0) for symbol in ("D", "A", "B", "C", "E")], 4, caps, tiers)
    assert [(pick.finding.symbol, pick.tier) for pick in picks] == [
        ("B", "mega"),
        ("C", "mega"),
        ("A", "small"),
        ("D", None),
    ]
    rows = watchlist_table(7, picks).to_pylist()
    assert rows[0] | {"session": str(rows[0]["session"])} == {
        "session": "1970-01-08",
        "symbol": "B",
        "rule": "rule-0",
        "side": "buy",
        "price": 10.0,
        "position": 1,
        "tier": "mega",
        "reason": "rule-0 (rsi14 21.23)",
    }
    assert watchlist_table(7, []).num_rows == 0
