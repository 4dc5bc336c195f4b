"""Aggregates of a handful of records, worked out by hand."""

import msgspec
import pytest

from stockpipeline.signals.performance.aggregate import Group, aggregate, confidence_range
from stockpipeline.signals.performance.record import Performance, Price, Result, Status


def record(
    name: str, net: float | None, *, rule: str = "dip", symbol: str = "IBM", day: int = 1,
    confidence: float = 1.0, excess: float | None = None, horizon: str = "1d",
) -> Performance:  # fmt: skip
    result = None
    if net is not None:
        result = Result(0, Price(day * 1000, 1.0), net + 0.001, net, excess, 0.02, -0.01, 60.0)
    return Performance(
        name, "default/demo", symbol, rule, "buy", confidence, f"2013-01-{day:02}", Status.OPEN,
        Price(day, 1.0), Price(day, 1.0), None, {horizon: result, "9d": None},
    )  # fmt: skip


def test_levels_and_their_order() -> None:
    records = [
        record("a", 0.01, confidence=0.995),
        record("b", 0.01, symbol="AAPL"),
        record("c", 0.01, rule="another", horizon="1h"),
        record("d", None, rule="nothing-yet"),
    ]
    low, high = "0.99-0.999", "0.999-1"
    assert [Group(one.rule, one.horizon, one.symbol, one.confidence) for one in aggregate(records)] == [
        ("another", "1h", None, None),
        ("another", "1h", None, high),
        ("another", "1h", "IBM", None),
        ("another", "1h", "IBM", high),
        ("dip", "1d", None, None),
        ("dip", "1d", None, low),
        ("dip", "1d", None, high),
        ("dip", "1d", "AAPL", None),
        ("dip", "1d", "AAPL", high),
        ("dip", "1d", "IBM", None),
        ("dip", "1d", "IBM", low),
    ]


def test_figures_of_a_rule() -> None:
    returns = [0.02, -0.01, 0.03, -0.02, 0.01, 0.0]
    # Given out of order: the curve is in the order of the exits.
    records = [
        record(f"s{day}", net, day=day, excess=0.001 * day) for day, net in reversed([*enumerate(returns, 1)])
    ]
    whole = aggregate(records)[0]
    assert whole.n == 6
    assert whole.hit_rate == 0.5
    assert whole.hit_rate_interval == pytest.approx((0.1876, 0.8124), abs=1e-4)
    assert whole.mean == pytest.approx(0.005)
    assert whole.median == pytest.approx(0.005)
    assert whole.mean_interval is not None
    assert whole.mean_interval.low < 0.005 < whole.mean_interval.high
    assert whole.mean_excess == pytest.approx(0.0035)
    assert (whole.mean_mfe, whole.mean_mae) == (pytest.approx(0.02), pytest.approx(-0.01))
    assert whole.profit_factor == pytest.approx(2.0)
    assert whole.payoff == pytest.approx(0.02 / 0.015)
    assert whole.expectancy == pytest.approx(0.005)
    assert whole.sharpe is None
    assert whole.max_drawdown == pytest.approx(0.02)
    assert [ts for ts, _ in whole.equity] == [1000, 2000, 3000, 4000, 5000, 6000]
    assert [total for _, total in whole.equity] == pytest.approx([0.02, 0.01, 0.04, 0.02, 0.03, 0.03])


def test_intervals_are_a_rules_own() -> None:
    """They do not change with what else is summed up, nor with the order of the records."""
    records = [record(f"s{day}", day / 1000, day=day) for day in range(1, 9)]
    others = [record(f"o{day}", -day / 1000, day=day, rule="a-rule") for day in range(1, 9)]
    alone = aggregate(records)[0]
    among = next(one for one in aggregate([*others, *reversed(records)]) if one.rule == "dip")
    assert msgspec.structs.asdict(alone) == msgspec.structs.asdict(among)


def test_only_whole_rules_have_a_curve() -> None:
    assert [bool(one.equity) for one in aggregate([record("a", 0.01)])] == [True, False, False, False]


@pytest.mark.parametrize(
    ("confidence", "name"),
    [(1.0, "0.999-1"), (0.999, "0.999-1"), (0.9989, "0.99-0.999"), (0.99, "0.99-0.999"), (0.5, "0-0.99")],
)
def test_ranges_of_confidence(confidence: float, name: str) -> None:
    assert confidence_range(confidence) == name
