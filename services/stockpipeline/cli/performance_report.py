"""The performance of many signals: JSON for programs, and the table for people."""

from collections.abc import Sequence

import msgspec

from stockpipeline.cli.replay_summary import table
from stockpipeline.signals.performance.aggregate import Aggregate, aggregate
from stockpipeline.signals.performance.judge import Measures
from stockpipeline.signals.performance.record import Performance


class Report(msgspec.Struct, frozen=True):
    """The content of the JSON."""

    pipeline: str
    horizons: Sequence[str]
    cost: float
    """Share of its price that each trade costs."""
    benchmark: str | None
    aggregates: list[Aggregate]
    signals: list[Performance]
    """By time, symbol and rule."""


def report(pipeline: str, measures: Measures, records: list[Performance]) -> Report:
    """Return the report over these signals."""
    ordered = sorted(records, key=lambda record: (record.signal.ts, record.symbol, record.rule))
    return Report(pipeline, measures.horizons, measures.cost, measures.benchmark, aggregate(ordered), ordered)


def encode(content: Report) -> bytes:
    """Return the report as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def lines(content: Report) -> list[str]:
    """Return the aggregates of whole rules as a table; net returns, after costs, in percent."""
    rows = [
        (
            "RULE", "HORIZON", "N", "HITS %", "95 %", "MEAN %", "95 %", "MEDIAN %", "EXCESS %", "MFE %",
            "MAE %", "PROFIT FACTOR", "MAX DRAWDOWN %",
        ),
        *(_row(one) for one in content.aggregates if one.symbol is None and one.confidence is None),
    ]  # fmt: skip
    if len(rows) == 1:
        return ["no signal has reached a horizon"]
    return [f"Returns net of {content.cost:.2%} each way{_compared(content.benchmark)}:", *table(rows)]


def _row(one: Aggregate) -> tuple[str, ...]:
    hits, mean = one.hit_rate_interval, one.mean_interval
    return (
        one.rule,
        one.horizon,
        str(one.n),
        f"{one.hit_rate * 100:.0f}",
        f"{hits.low * 100:.0f}…{hits.high * 100:.0f}",
        _percent(one.mean),
        "-" if mean is None else f"{_percent(mean.low)}…{_percent(mean.high)}",
        _percent(one.median),
        _percent(one.mean_excess),
        _percent(one.mean_mfe),
        _percent(one.mean_mae),
        "-" if one.profit_factor is None else f"{one.profit_factor:.2f}",
        f"{one.max_drawdown * 100:.1f}",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:+.2f}"


def _compared(benchmark: str | None) -> str:
    return "" if benchmark is None else f", excess over {benchmark} before costs"
