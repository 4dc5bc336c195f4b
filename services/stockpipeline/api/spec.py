"""The `spec` of a StockPipeline: what a user writes.

The CRD is generated from these models, so a field's docstring is its text in `kubectl explain`.
Whether an indicator exists and a rule makes sense is checked later, by `stockpipeline.indicators.catalog` and
`stockpipeline.signals.rules`: that needs more than a schema can say.
"""

import datetime
import keyword
from enum import StrEnum
from typing import Annotated

from pydantic import Field, WithJsonSchema

from stockpipeline.api.base import ApiModel, Check, Matches, Unique

BAR_FIELDS = ("open", "high", "low", "close", "volume")
RULE_FUNCTIONS = ("prev", "crosses_above", "crosses_below", "abs", "min", "max")
RESERVED_NAMES = (*BAR_FIELDS, *RULE_FUNCTIONS, *(word for word in keyword.kwlist if word.islower()))

Symbol = Annotated[
    str,
    Field(min_length=1, max_length=16),
    Matches(
        r"[A-Z0-9][A-Z0-9.\-]{0,15}",
        "a symbol is 1 to 16 characters of A-Z, 0-9, '.' and '-', as the exchange writes it: BRK.B",
    ),
]
HOST = r"([A-Za-z0-9_.\-]+|\[[0-9a-fA-F:]+\])"
Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
ParameterName = Annotated[str, Field(max_length=32)]
Expression = Annotated[str, Field(min_length=1, max_length=512)]


class Exchange(StrEnum):
    """Exchanges by their ISO 10383 market identifier code."""

    XNAS = "XNAS"
    XNYS = "XNYS"
    XASE = "XASE"


class Universe(ApiModel):
    """Which symbols the pipeline follows, and on which exchange."""

    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1, max_length=1000), Unique()]
    """Symbols to follow, as the exchange writes them. Each may appear once."""

    exchange: Exchange = Exchange.XNAS
    """Market identifier code (ISO 10383) of the exchange; its calendar gives sessions, holidays and hours."""


class ReplaySource(ApiModel):
    """Real daily bars, played back as ticks on a clock of their own."""

    start: datetime.date
    """First session to play, as YYYY-MM-DD. Bars before it are the history that indicators warm up from.
    Cannot change later."""

    end: datetime.date | None = None
    """Last session to play, as YYYY-MM-DD. Without it: to the end of the data."""

    speed: Annotated[float, Field(ge=0, le=1_000_000_000)] = 6000
    """Seconds of trading time played per second; nights, weekends and holidays are skipped. 0: as fast as
    possible."""

    ticks_per_bar: Annotated[int, Field(ge=4, le=100_000)] = 100
    """Ticks made from each daily bar: a path from open to close that touches high and low; volumes add up to
    the bar's. Cannot change later."""

    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 1
    """Seed of the path between the prices of a bar. The same seed gives the same ticks. Cannot change
    later."""

    checks = (
        Check(
            "!has(self.end) || self.end >= self.start",
            "replay.end must not be before replay.start",
            lambda replay: replay.end is None or replay.end >= replay.start,
        ),
    )


class Source(ApiModel):
    """Where market data comes from: a name and exactly one kind."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        Matches(
            r"[a-z]([\-a-z0-9]*[a-z0-9])?",
            "a source's name is made of a-z, 0-9 and '-' and begins with a letter",
        ),
    ]
    """Name of the source, shown in metrics and in every tick. Cannot change later."""

    replay: ReplaySource | None = None
    """Play back real daily bars from the past."""

    checks = (
        Check("has(self.replay)", "a source needs a kind: replay", lambda source: source.replay is not None),
    )


class Kafka(ApiModel):
    """The Kafka cluster that carries ticks and signals."""

    bootstrap_servers: (
        Annotated[
            str,
            Field(max_length=1024),
            Matches(
                rf"{HOST}:[0-9]{{1,5}}(,{HOST}:[0-9]{{1,5}})*",
                "kafka.bootstrapServers must be HOST:PORT, several separated by commas without spaces",
            ),
        ]
        | None
    ) = None
    """HOST:PORT of one or more brokers, separated by commas. Without it: the operator's default."""

    partitions: Annotated[int, Field(ge=1, le=64)] = 4
    """Partitions of each topic: the most detectors that can share the work. Cannot change later."""

    checks = (
        Check(
            "self.partitions == oldSelf.partitions",
            "kafka.partitions cannot change: symbols would move between partitions and lose their order; "
            "delete the pipeline and make it anew",
        ),
    )


class Redis(ApiModel):
    """The Redis server that keeps the history which indicators warm up from."""

    url: (
        Annotated[
            str,
            Field(max_length=512),
            Matches(
                rf"rediss?://{HOST}(:[0-9]{{1,5}})?(/[0-9]{{1,3}})?",
                "redis.url must be redis://HOST:PORT/DATABASE (rediss for TLS), without a user or password",
            ),
        ]
        | None
    ) = None
    """redis://HOST:PORT/DATABASE, or rediss:// for TLS. Without it: the operator's default."""


class Indicator(ApiModel):
    """A technical indicator, computed on every symbol's daily bars, the forming one included."""

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


class Side(StrEnum):
    """What a signal proposes."""

    BUY = "buy"
    SELL = "sell"


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


DEFAULT_INDICATORS = (
    Indicator(name="rsi14", function="RSI", parameters={"timeperiod": 14}),
    Indicator(
        name="macd", function="MACD", parameters={"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}
    ),
    Indicator(name="bb", function="BBANDS", parameters={"timeperiod": 20, "nbdevup": 2, "nbdevdn": 2}),
)
DEFAULT_RULES = (
    Rule(name="rsi-oversold", side=Side.BUY, when="rsi14 < 30", rearm="rsi14 > 35"),
    Rule(name="rsi-overbought", side=Side.SELL, when="rsi14 > 70", rearm="rsi14 < 65"),
    Rule(name="bb-lower-touch", side=Side.BUY, when="low <= bb_lower", rearm="close > bb_middle"),
    Rule(name="bb-upper-touch", side=Side.SELL, when="high >= bb_upper", rearm="close < bb_middle"),
    Rule(name="macd-cross-up", side=Side.BUY, when="crosses_above(macd, macd_signal)"),
    Rule(name="macd-cross-down", side=Side.SELL, when="crosses_below(macd, macd_signal)"),
)


def _fixed(field: str) -> Check:
    """A field of the source that decides which tick has which number; a producer goes on after the last."""
    return Check(
        f"self.sources[0].{field} == oldSelf.sources[0].{field}",
        f"sources: {field} cannot change: the ticks that were sent would not be those of the new source, and "
        "it could not go on after them; delete the pipeline and make it anew",
    )


class StockPipelineSpec(ApiModel):
    """What the pipeline should be."""

    suspend: bool = False
    """Stop the pipeline's workloads and keep its topics, history and state, so that it can go on later."""

    universe: Universe
    """Which symbols the pipeline follows, and on which exchange."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1, max_length=1), Unique("name")]
    """Where market data comes from. At present one source of the kind replay."""

    kafka: Kafka = Kafka()
    """The Kafka cluster that carries ticks and signals."""

    redis: Redis = Redis()
    """The Redis server that keeps the history which indicators warm up from."""

    indicators: Annotated[tuple[Indicator, ...], Field(min_length=1, max_length=64), Unique("name")] = (
        DEFAULT_INDICATORS
    )
    """Indicators to compute. Default: RSI, MACD and Bollinger bands with the usual periods."""

    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=64), Unique("name")] = DEFAULT_RULES
    """Rules that make signals. Default: RSI below 30 and above 70, touches of the Bollinger bands, MACD
    crossing its signal line."""

    # At the level of the spec, because there is no old self of a list's item whose key has changed.
    checks = (
        _fixed("name"),
        _fixed("replay.start"),
        _fixed("replay.ticksPerBar"),
        _fixed("replay.seed"),
    )
