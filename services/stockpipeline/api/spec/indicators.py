"""Bars, and the indicators computed on them."""

import keyword
from enum import StrEnum
from typing import Annotated

from pydantic import Field, WithJsonSchema

from stockpipeline.api.base import ApiModel, Check, Matches

BAR_FIELDS = ("open", "high", "low", "close", "volume")
RULE_FUNCTIONS = ("prev", "crosses_above", "crosses_below", "abs", "min", "max")
RESERVED_NAMES = (*BAR_FIELDS, *RULE_FUNCTIONS, *(word for word in keyword.kwlist if word.islower()))

Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
ParameterName = Annotated[str, Field(max_length=32)]


class BarInterval(StrEnum):
    """How much trading time a bar covers."""

    MINUTE = "1m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    MINUTES_30 = "30m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def minutes(self) -> int | None:
        """Minutes of an intraday bar; None for a bar that is a whole session."""
        return _MINUTES[self]


_MINUTES = {
    BarInterval.MINUTE: 1,
    BarInterval.MINUTES_5: 5,
    BarInterval.MINUTES_15: 15,
    BarInterval.MINUTES_30: 30,
    BarInterval.HOUR: 60,
    BarInterval.DAY: None,
}


class Bars(ApiModel):
    """The bars that ticks are gathered into."""

    interval: BarInterval = BarInterval.DAY
    """Trading time of a bar: 1m, 5m, 15m, 30m, 1h or 1d (a session). Cannot change later."""

    checks = (
        Check(
            "self.interval == oldSelf.interval",
            "bars.interval cannot change: history and state hold bars of the old interval; "
            "delete the pipeline and make it anew",
        ),
    )


class Indicator(ApiModel):
    """A technical indicator, computed on every symbol's bars, the forming one included."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=32),
        Matches(
            r"[a-z][a-z0-9_]{0,31}",
            "an indicator's name is made of a-z, 0-9 and '_' and begins with a letter, as rules use it",
        ),
    ]
    """Name that rules use. One with several outputs gives NAME_OUTPUT, for example macd_signal, bb_upper."""

    function: Annotated[
        str,
        Field(min_length=1, max_length=32),
        Matches(
            r"[A-Z][A-Z0-9_]{0,31}", "function is the upper-case name of a TA-Lib function, for example RSI"
        ),
    ]
    """Function of TA-Lib, for example RSI, MACD, BBANDS, STOCH."""

    parameters: Annotated[dict[ParameterName, Number], Field(max_length=16)] = Field(default_factory=dict)
    """Parameters by TA-Lib's names, for example timeperiod: 14. Those left out keep TA-Lib's defaults."""

    checks = (
        Check(
            f"!(self.name in [{', '.join(repr(name) for name in RESERVED_NAMES)}])",
            f"an indicator cannot have the name of a bar field ({', '.join(BAR_FIELDS)}), of a rule function "
            f"({', '.join(RULE_FUNCTIONS)}) or of a Python keyword",
            lambda indicator: indicator.name not in RESERVED_NAMES,
        ),
    )


DEFAULT_INDICATORS = (
    Indicator(name="rsi14", function="RSI", parameters={"timeperiod": 14}),
    Indicator(
        name="macd", function="MACD", parameters={"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}
    ),
    Indicator(name="bb", function="BBANDS", parameters={"timeperiod": 20, "nbdevup": 2, "nbdevdn": 2}),
)
