"""When a pipeline signals, and how it judges its signals afterwards."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Matches, Unique
from stockpipeline.api.spec.texts import Symbol

Expression = Annotated[str, Field(min_length=1, max_length=512)]
Horizon = Annotated[
    str,
    Field(min_length=2, max_length=6),
    Matches(
        r"[1-9][0-9]{0,3}[mhd]",
        "a horizon is trading time as a whole number of minutes, hours or sessions: 30m, 1h, 5d",
    ),
]


class Side(StrEnum):
    """What a signal proposes."""

    BUY = "buy"
    SELL = "sell"


class MarketSession(StrEnum):
    """Kinds of trading sessions, as ticks name them."""

    REGULAR = "regular"
    PRE = "pre"
    POST = "post"
    DAYTIME = "daytime"


class Rule(ApiModel):
    """When to signal: a condition on indicators and bar fields, checked at every tick."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        Matches(
            r"[a-z]([\-a-z0-9]*[a-z0-9])?",
            "a rule's name is made of a-z, 0-9 and '-' and begins with a letter",
        ),
    ]
    """Name of the rule, shown in signals and metrics."""

    side: Side
    """What the signal proposes: buy or sell."""

    when: Expression
    """Condition that makes a signal, for example "rsi14 < 30" or "crosses_above(macd, macd_signal)". It sees
    the values on the forming bar: open, high, low, close, volume and every indicator."""

    rearm: Expression | None = None
    """Condition that makes the rule ready to signal again. Without it: when the condition no longer holds."""

    cooldown_bars: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many bars after a signal's own the next one of this rule and symbol may come, at the earliest. A
    rule never signals twice in one bar, so 1 is the same as 0."""

    strength: Annotated[float, Field(ge=0, le=1)] = 1
    """How much a signal of this rule weighs beside those of others: 0 to 1, passed on with the signal."""

    sessions: Annotated[tuple[MarketSession, ...], Field(min_length=1, max_length=4), Unique()] | None = None
    """Kinds of sessions whose ticks the rule looks at: regular, pre, post, daytime. Without it: all."""


_RECOMMENDATION = (
    "0.4 * max(-1, min(1, (50 - rsi14) / 20))"
    " + 0.3 * max(-1, min(1, (bb_middle - close) / (bb_upper - bb_middle)))"
    " + 0.3 * macd_hist / (abs(macd) + abs(macd_signal))"
)
"""From -1 (sell) to 1 (buy); docs/rules.md says why it is made so."""

DEFAULT_RULES = (
    Rule(name="rsi-oversold", side=Side.BUY, when="rsi14 < 30", rearm="rsi14 > 35"),
    Rule(name="rsi-overbought", side=Side.SELL, when="rsi14 > 70", rearm="rsi14 < 65"),
    Rule(name="bb-lower-touch", side=Side.BUY, when="low <= bb_lower", rearm="close > bb_middle"),
    Rule(name="bb-upper-touch", side=Side.SELL, when="high >= bb_upper", rearm="close < bb_middle"),
    Rule(name="macd-cross-up", side=Side.BUY, when="crosses_above(macd, macd_signal)"),
    Rule(name="macd-cross-down", side=Side.SELL, when="crosses_below(macd, macd_signal)"),
    Rule(
        name="recommend-strong-buy",
        side=Side.BUY,
        when=f"{_RECOMMENDATION} > 0.5",
        rearm=f"{_RECOMMENDATION} < 0.3",
    ),
    Rule(
        name="recommend-buy",
        side=Side.BUY,
        when=f"{_RECOMMENDATION} > 0.1",
        rearm=f"{_RECOMMENDATION} < 0",
        strength=0.5,
    ),
    Rule(
        name="recommend-sell",
        side=Side.SELL,
        when=f"{_RECOMMENDATION} < -0.1",
        rearm=f"{_RECOMMENDATION} > 0",
        strength=0.5,
    ),
    Rule(
        name="recommend-strong-sell",
        side=Side.SELL,
        when=f"{_RECOMMENDATION} < -0.5",
        rearm=f"{_RECOMMENDATION} > -0.3",
    ),
)


class Costs(ApiModel):
    """What a trade costs, in basis points (hundredths of a percent) of its price, each way."""

    commission_bps: Annotated[float, Field(ge=0, le=1000)] = 0
    """Commission and fees, in basis points."""

    slippage_bps: Annotated[float, Field(ge=0, le=1000)] = 5
    """How much worse than the price seen a trade is made, in basis points."""


class Performance(ApiModel):
    """How the signals of the pipeline are judged: what each would have earned."""

    horizons: Annotated[tuple[Horizon, ...], Field(min_length=1, max_length=8), Unique()] = ("1h", "1d", "5d")
    """Trading time after a signal at which its return is taken: minutes, hours or sessions (30m, 1h, 5d)."""

    costs: Costs = Costs()
    """What a trade costs; taken off every return."""

    benchmark: Symbol | None = None
    """Symbol of the universe whose return over the same time is taken off, to show what the rule adds."""
