"""The figures of a benchmark: a table for people and `build/bench/NAME.json` for everything else.

    report = Report("engine", quick=False)
    report.add("talib_batch", 812_000, "bars/s")
    report.add("streaming", 2_400_000, "bars/s", baseline="talib_batch", note="5 symbols, 3 indicators")
    report.finish()

The file is a list of `{"name", "value", "unit", "baseline", "ratio"}`; `ratio` is the value over the
baseline's value, both measured in this run. What others have published is no baseline: it goes into `note`,
which only the table shows.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    """One figure; `name` is what others look it up by, so it never changes its meaning."""

    name: str
    value: float
    unit: str
    baseline: str | None = None
    ratio: float | None = None
    note: str = ""

    def to_json(self) -> dict[str, str | float | None]:
        """The row as the file has it."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "ratio": self.ratio,
        }


class Report:
    """Collects the rows of one benchmark.

    A quick run is for trying the benchmark out: its figures go to a folder of their own, never over those of
    a whole run. A run of some parts keeps the figures that the file has of the others.
    """

    def __init__(
        self, name: str, *, quick: bool, parts: bool = False, folder: Path = REPO / "build" / "bench"
    ) -> None:
        self.name = name
        self._parts = parts
        self.path = (folder / "quick" if quick else folder) / f"{name}.json"
        self._quick = quick
        self._rows: dict[str, Row] = {}

    def add(self, name: str, value: float, unit: str, *, baseline: str | None = None, note: str = "") -> Row:
        """Add a figure; `baseline` names a row that was added before.

        Raises:
            ValueError: the name is taken, the baseline is unknown, or it is zero.
        """
        if name in self._rows:
            raise ValueError(f"benchmark {self.name}: there is a row {name!r} already")
        ratio = None
        if baseline is not None:
            if baseline not in self._rows:
                raise ValueError(f"benchmark {self.name}: row {name!r} has the unknown baseline {baseline!r}")
            base = self._rows[baseline]
            if base.value == 0:
                raise ValueError(f"benchmark {self.name}: the baseline {baseline!r} of row {name!r} is zero")
            ratio = round(value / base.value, 4)
        row = Row(name, float(f"{value:.6g}"), unit, baseline, ratio, note)
        self._rows[name] = row
        return row

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, in the order they were added."""
        return tuple(self._rows.values())

    def table(self) -> str:
        """The rows as text, in columns."""
        cells = [("figure", "value", "unit", "against", "")]
        for row in self.rows:
            against = "" if row.ratio is None else f"{row.ratio:.3g} x {row.baseline}"
            cells.append((row.name, f"{row.value:,.6g}", row.unit, against, row.note))
        widths = [max(len(line[column]) for line in cells) for column in range(4)]
        lines = [
            f"{name:<{widths[0]}}  {value:>{widths[1]}}  {unit:<{widths[2]}}  {against:<{widths[3]}}  {note}"
            for name, value, unit, against, note in cells
        ]
        return "\n".join(line.rstrip() for line in lines)

    def finish(self, stream: TextIO | None = None) -> Path:
        """Write the file, print the table and where the file is; return its path."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        rows = [*self._kept(), *(row.to_json() for row in self.rows)]
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
        temporary.replace(self.path)
        out = sys.stdout if stream is None else stream
        quick = "  (a quick run: these figures say nothing)" if self._quick else ""
        print(f"\nBenchmark {self.name}{quick}\n{self.table()}\n{self.path}", file=out, flush=True)
        return self.path

    def _kept(self) -> list[dict[str, str | float | None]]:
        """The file's rows of parts that this run has not measured."""
        if not self._parts or not self.path.exists():
            return []
        found: list[dict[str, str | float | None]] = json.loads(self.path.read_text())
        return [row for row in found if row["name"] not in self._rows]
