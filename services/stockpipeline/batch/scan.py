"""The scan: rules in the detector's language over the bars and indicators of one session.

A rule sees the session's closed bar where the detector sees the forming one, and the bars before it as
``prev``. As in the detector, a rule whose values are not known, or not converged, does not hold.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stockpipeline.api import BAR_FIELDS, Indicator, Rule
from stockpipeline.batch.compute import indicators_schema, value_fields
from stockpipeline.batch.lake import (
    ACTIONS,
    BARS,
    PARTS,
    BrokenPart,
    Lake,
    actions_of,
    float_column,
    read_part,
    series_of,
    sessions_of,
)
from stockpipeline.batch.watchlist import Finding
from stockpipeline.indicators.convergence import CONVERGED
from stockpipeline.indicators.engine import Plan, Vector
from stockpipeline.market.corporate_actions import adjusted
from stockpipeline.signals.rules import CompiledRule, compile_rule


class Scanner:
    """Indicators and rules, compiled; raises ``IndicatorError`` or ``RuleError`` for what cannot be."""

    def __init__(self, indicators: Sequence[Indicator], rules: Sequence[Rule]) -> None:
        self._plan = Plan(indicators)
        self._rules = [compile_rule(rule, self._plan.slots) for rule in rules]
        self._bars = 1 + max((rule.bars_back for rule in self._rules), default=0)

    def scan_all(self, lake: Lake, session: int, parts: Iterable[int] = range(PARTS)) -> Iterator[Finding]:
        """Yield what holds at a session's close, for the symbols that have a bar of it.

        Raises:
            BrokenPart: a part cannot be read, or its indicators are not those of its bars.
        """
        for part in parts:
            bars = read_part(lake.bars(part), BARS)
            values = read_part(lake.indicators(part), indicators_schema(self._plan))
            if not _same_rows(bars, values):
                raise BrokenPart(
                    f"{lake.indicators(part)} is not of the bars beside it; compute the indicators first"
                )
            yield from self.scan_part(session, bars, read_part(lake.actions(part), ACTIONS), values)

    def scan_part(
        self, session: int, bars: pa.Table, actions: pa.Table, values: pa.Table
    ) -> Iterator[Finding]:
        """Yield what holds for the symbols of a part; ``values`` has the rows of ``bars``."""
        by_symbol = actions_of(actions)
        columns = np.full((self._plan.width - len(BAR_FIELDS), values.num_rows), np.nan)
        for name, row in value_fields(self._plan):
            columns[row] = float_column(values, name)
        for symbol, rows, series in series_of(bars):
            closed = int(np.searchsorted(series.sessions, session))
            if closed == len(series) or series.sessions[closed] != session:
                continue
            first = max(0, closed + 1 - self._bars)
            prices = adjusted(series, by_symbol.get(symbol, ()))[first : closed + 1]
            fields = np.array([getattr(prices, name) for name in BAR_FIELDS])
            found = columns[:, rows.start + first : rows.start + closed + 1]
            vectors = _vectors(np.concatenate((fields, found)))
            price = float(series.close[closed])
            yield from self._findings(symbol, price, closed, vectors)

    def _findings(self, symbol: str, price: float, closed: int, vectors: list[Vector]) -> Iterator[Finding]:
        """Yield the rules that hold on the newest vector, with the others before it, newest first."""
        now, past = vectors[0], vectors[1:]
        for order, rule in enumerate(self._rules):
            if not self._known(rule, closed, vectors):
                continue
            try:
                holds = rule.when(now, past)
            except ZeroDivisionError:  # no value on this bar, as in the detector
                continue
            if holds:
                values = tuple((name, now[slot]) for name, slot in rule.values)
                yield Finding(symbol, order, rule.name, rule.side, price, values)

    def _known(self, rule: CompiledRule, closed: int, vectors: list[Vector]) -> bool:
        """Whether all that a rule reads is known, ``closed`` bars before the session's own."""
        for read in rule.reads:
            if read.bars_back >= len(vectors) or not isfinite(vectors[read.bars_back][read.slot]):
                return False
            owner = self._plan.owners[read.slot]
            if owner is not None and self._plan.computations[owner].confidence(closed) < CONVERGED:
                return False
        return True


def _vectors(columns: NDArray[np.float64]) -> list[Vector]:
    """Return one vector for each bar, the newest first."""
    return [tuple(vector) for vector in columns.T[::-1].tolist()]


def _same_rows(bars: pa.Table, values: pa.Table) -> bool:
    return bool(
        bars.num_rows == values.num_rows
        and bars.column("symbol").equals(values.column("symbol"))
        and np.array_equal(sessions_of(bars), sessions_of(values))
    )
