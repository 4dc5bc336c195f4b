import pytest

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES, Indicator, Rule, Side
from stockpipeline.indicators.catalog import Layout, UnknownIndicator
from stockpipeline.signals.rules import RuleError, check, compile_rule

SLOTS = Layout.of(DEFAULT_INDICATORS).slots


def test_the_default_pipeline_is_right() -> None:
    check(DEFAULT_INDICATORS, DEFAULT_RULES)


def test_errors_name_rule_field_and_column() -> None:
    with pytest.raises(
        RuleError, match=r"^rule 'dip', when: unknown name 'rsi'; did you mean rsi14\? \(column 1\)$"
    ):
        check(DEFAULT_INDICATORS, [Rule(name="dip", side=Side.BUY, when="rsi < 30")])
    with pytest.raises(RuleError, match=r"^rule 'dip', rearm: unknown name 'x'.*\(column 9\)$"):
        check(DEFAULT_INDICATORS, [Rule(name="dip", side=Side.BUY, when="rsi14 < 30", rearm="rsi14 > x")])


def test_an_unknown_indicator_is_found_before_the_rules() -> None:
    with pytest.raises(UnknownIndicator, match="indicator 'foo'"):
        check([Indicator(name="foo", function="FOO")], DEFAULT_RULES)


def test_a_rule_is_a_condition() -> None:
    with pytest.raises(RuleError, match="expected a condition such as rsi14 > 0, this is a number"):
        compile_rule(Rule(name="dip", side=Side.BUY, when="rsi14"), SLOTS)


def test_a_rule_without_rearm_is_rearmed_when_it_does_not_hold() -> None:
    rule = compile_rule(Rule(name="dip", side=Side.BUY, when="close < 10 or open < 10"), SLOTS)
    for open_, close in ((9.0, 9.0), (9.0, 11.0), (11.0, 11.0)):
        now = (open_, 12.0, 8.0, close, 1.0)
        assert rule.rearm(now, ()) is not rule.when(now, ())


def test_a_rule_knows_the_indicator_values_that_it_reads() -> None:
    rule = compile_rule(
        Rule(
            name="r",
            side=Side.SELL,
            when="crosses_above(macd, macd_signal) and close > 1",
            rearm="rsi14 < 50",
        ),
        SLOTS,
    )
    assert [name for name, _ in rule.values] == ["rsi14", "macd", "macd_signal"]
    assert rule.bars_back == 1


def test_the_fingerprint_changes_with_the_meaning() -> None:
    base = {"name": "r", "side": Side.BUY, "when": "close > 1", "rearm": "close < 1", "cooldown_bars": 1}
    changes = [
        {},
        {"side": Side.SELL},
        {"when": "close > 2"},
        {"rearm": None},
        {"cooldown_bars": 2},
        {"name": "s"},
    ]
    rules = [compile_rule(Rule.model_validate(base | change), SLOTS) for change in changes]
    assert len({rule.fingerprint for rule in rules}) == len(changes)
