"""What a dashboard is made of, without Grafana's notation.

Queries are PromQL with two abbreviations: `$pipelines` stands for the matchers of the chosen pipelines, `$by` for
the labels that tell pipelines apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from observability.alerts.rule import BY

PIPELINES = 'cluster=~"$cluster",namespace=~"$namespace",pipeline=~"$pipeline"'
OF_STATUS = 'cluster=~"$cluster",pipeline_namespace=~"$namespace",pipeline=~"$pipeline"'
NAME = "{{namespace}}/{{pipeline}}"


class Kind(StrEnum):
    """How a panel shows its queries."""

    LINES = "timeseries"
    STACK = "stack"
    STAT = "stat"
    TABLE = "table"
    STATES = "state-timeline"
    HEATMAP = "heatmap"


@dataclass(frozen=True)
class Query:
    """One query of a panel; `legend` names its series, in a table its column."""

    expr: str
    legend: str = NAME
    exemplars: bool = False
    """Whether single cases that the metric has, such as ids of signals, are shown beside it."""

    @property
    def promql(self) -> str:
        """The query as Grafana has it."""
        expr = self.expr.replace("$pipelines", PIPELINES).replace("$status", OF_STATUS).replace("$by", BY)
        return " ".join(expr.split())


@dataclass(frozen=True)
class Panel:
    """One panel. `limits` are values from which it turns orange and red."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = Kind.LINES
    width: int = 8
    height: int = 8
    limits: tuple[float, float] | None = None
    low_is_bad: bool = False
    """Whether it is green above the limits and not below them."""
    names: Mapping[str, tuple[str, str]] | None = None
    """Text and colour for single values, such as "0": ("closed", "green")."""
    decimals: int | None = None


@dataclass(frozen=True)
class Column:
    """A column of an answer to SQL; `kind` is Infinity's word for its type."""

    name: str
    kind: str = "string"


@dataclass(frozen=True)
class SqlPanel(Panel):
    """A panel that asks a replica by SQL, whose one parameter (`?`) is the chosen symbol, a pattern of LIKE."""

    queries: Sequence[Query] = ()
    sql: str = ""
    columns: Sequence[Column] = ()


@dataclass(frozen=True)
class Row:
    """A titled row of panels, as many below each other as their widths need."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard; its uid is its name after the common prefix."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    of_pipelines: bool = True
    """Whether its panels are of the chosen pipelines."""

    @property
    def uid(self) -> str:
        """Fixed, so that alerts and other dashboards can link to it."""
        return f"stockpipeline-{self.name}"
