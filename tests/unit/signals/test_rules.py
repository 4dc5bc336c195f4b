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


def recommends(name: str, **values: float) -> bool:
    """Whether a recommendation holds; what is not given is neutral."""
    neutral = {
        "close": 100.0, "rsi14": 50.0, "macd": 1.0, "macd_signal": 1.0, "macd_hist": 0.0,
        "bb_upper": 110.0, "bb_middle": 100.0, "bb_lower": 90.0,
    }  # fmt: skip
    now = [0.0] * len(SLOTS)
    for value, slot in SLOTS.items():
        now[slot] = {**neutral, **values}.get(value, 0.0)
    rule = next(rule for rule in DEFAULT_RULES if rule.name == name)
    return compile_rule(rule, SLOTS).when(now, ())


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ({}, 0.0),
        ({"rsi14": 45.0}, 0.1),  # 0.4 of 5 / 20
        ({"rsi14": 30.0}, 0.4),
        ({"rsi14": 5.0}, 0.4),  # no more than full
        ({"close": 90.0}, 0.3),  # at the lower band
        ({"close": 80.0}, 0.3),
        ({"macd": 3.0, "macd_signal": 1.0, "macd_hist": 2.0}, 0.15),  # 0.3 of 2 / 4
        ({"macd": 1.0, "macd_signal": -1.0, "macd_hist": 2.0}, 0.3),
        ({"rsi14": 30.0, "close": 90.0}, 0.7),
        ({"rsi14": 30.0, "macd": -3.0, "macd_signal": -1.0, "macd_hist": -2.0}, 0.25),
        ({"rsi14": 70.0, "close": 110.0, "macd": -1.0, "macd_signal": 1.0, "macd_hist": -2.0}, -1.0),
        ({"rsi14": 70.0, "close": 105.0}, -0.55),
    ],
)
def test_recommendations_by_hand(values: dict[str, float], score: float) -> None:
    """Scores of which none is at a threshold but 0.1, which is not above it."""
    assert recommends("recommend-strong-buy", **values) is (score > 0.5)
    assert recommends("recommend-buy", **values) is (score > 0.1)
    assert recommends("recommend-sell", **values) is (score < -0.1)
    assert recommends("recommend-strong-sell", **values) is (score < -0.5)


def test_flat_bands_recommend_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        recommends("recommend-buy", bb_upper=100.0, bb_lower=100.0)


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
