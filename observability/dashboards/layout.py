"""Grafana's JSON of a dashboard, by its own SDK. The same for all of them: variables, links, annotations, refresh."""

import json
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grafana_foundation_sdk.builders import (
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from observability.dashboards.board import PIPELINES, Board, Kind, Panel

TAG = "stockpipeline"
_WIDTH = 24
_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_ALL = model.VariableOption(selected=True, text="All", value="$__all")
# A series that is there for as long as a pipeline has ever read ticks, also when it is suspended now.
_SEEN = "stockpipeline_detector_ticks_total"
_VARIABLES = {
    "cluster": f"label_values({_SEEN}, cluster)",
    "namespace": f'label_values({_SEEN}{{cluster=~"$cluster"}}, namespace)',
    "pipeline": f'label_values({_SEEN}{{cluster=~"$cluster",namespace=~"$namespace"}}, pipeline)',
}
_STARTS = (
    'max by (namespace, component) (process_start_time_seconds{cluster=~"$cluster",namespace=~"$namespace",'
    'component=~"producer|detector|operator"}) > time() - 60'
)
_SIGNALS = (
    f"sum by (namespace, pipeline, rule, side) (increase(stockpipeline_detector_signals_total{{{PIPELINES}}}"
    "[$__interval])) > 0"
)

_TITLES = {"Starts": "{{component}} starts", "Signals": "{{side}}: {{rule}}"}

Build = Callable[[Panel], Any]


def render(board: Board) -> str:
    """Return the dashboard's JSON."""
    made = (
        begun(board)
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
        .annotation(_annotation("Starts", _STARTS, "blue", enabled=True))
        .annotation(_annotation("Signals", _SIGNALS, "purple", enabled=False))
    )
    for name, query in _VARIABLES.items():
        made = made.with_variable(_variable(name, query))
    content = finished(made, board, lambda panel: _PANELS[panel.kind](panel))
    for annotation in content["annotations"]["list"]:
        annotation["titleFormat"] = _TITLES[annotation["name"]]  # the SDK has no word for it
    return text_of(content)


def begun(board: Board) -> dashboard.Dashboard:
    """What every dashboard has, whatever its panels ask."""
    return (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("StockPipeline")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )


def finished(made: dashboard.Dashboard, board: Board, build: Build) -> dict[str, Any]:
    """Put the panels in, and return all of it as an object."""
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made = made.with_panel(build(panel))
    built = made.build()
    # Numbered, so that links to single panels last; the dashboard's own id is Grafana's to give.
    for number, one in enumerate(built.panels or (), start=1):
        one.id_val = number
    content: dict[str, Any] = json.loads(JSONEncoder().encode(built))
    return content


def text_of(content: dict[str, Any]) -> str:
    """Return the text of a dashboard's file."""
    return json.dumps(content, sort_keys=True, indent=2) + "\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .query(query)
        .datasource(_SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        # Not a list of what there is: a label that nobody has (cluster) must not empty every panel.
        .all_value(".*")
        .current(_ALL)
    )


def _annotation(name: str, expr: str, colour: str, *, enabled: bool) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(_SOURCE)
        .expr(expr)
        .icon_color(colour)
        .enable(enabled)
    )


def common_parts(builder: Any, panel: Panel, source: model.DataSourceRef = _SOURCE) -> Any:
    """What every kind of panel has. The SDK's builders share methods, but no type."""
    made = (
        builder.title(panel.title)
        .description(panel.description)
        .datasource(source)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
        # Never 0: what is not known is said to be so.
        .no_value("no data")
        .thresholds(_thresholds(panel))
    )
    if panel.names is not None:
        options = {
            value: model.ValueMappingResult(text=text, color=colour)
            for value, (text, colour) in panel.names.items()
        }
        made = made.mappings([model.ValueMap(options=options)])
    return made if panel.decimals is None else made.decimals(panel.decimals)


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(color="green", value=None)]
    if panel.limits is not None:
        first, second = panel.limits
        colours = ("red", "orange", "green") if panel.low_is_bad else ("green", "orange", "red")
        steps = [
            model.Threshold(color=colour, value=value)
            for colour, value in zip(colours, (None, first, second), strict=True)
        ]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _targets(builder: Any, panel: Panel, *, instant: bool = False, form: Any = None) -> Any:
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        target = (
            prometheus.Dataquery()
            .datasource(_SOURCE)
            .expr(query.promql)
            .legend_format(query.legend)
            .ref_id(letter)
        )
        target = target.instant() if instant else target.range()
        if query.exemplars:
            target = target.exemplar(True)
        builder = builder.with_target(target.format(form) if form is not None else target)
    return builder


def _lines(panel: Panel) -> Any:
    builder = _targets(common_parts(timeseries.Panel(), panel), panel)
    builder = (
        builder.legend(
            VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
        .line_width(1)
        .fill_opacity(10)
        .show_points(common.VisibilityMode.NEVER)
    )
    if panel.limits is not None:
        builder = builder.thresholds_style(
            GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    if panel.kind is Kind.STACK:
        return builder.fill_opacity(40).stacking(StackingConfig().mode(common.StackingMode.NORMAL))
    return builder


def _stat(panel: Panel) -> Any:
    return (
        _targets(common_parts(stat.Panel(), panel), panel)
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
    )


def _table(panel: Panel) -> Any:
    """One row for each pipeline (or what else the labels name), one column for each query."""
    builder = _targets(common_parts(table.Panel(), panel), panel, instant=True, form=PromQueryFormat.TABLE)
    columns = {
        f"Value #{letter}" if len(panel.queries) > 1 else "Value": query.legend
        for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False)
    }
    return builder.transformations(
        [
            model.DataTransformerConfig(id_val="merge", options={}),
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": _order(columns),
                    "renameByName": columns,
                },
            ),
        ]
    )


def _order(columns: Mapping[str, str]) -> dict[str, int]:
    names: Iterable[str] = ("cluster", "namespace", "pipeline", *columns)
    return {name: number for number, name in enumerate(names)}


def _states(panel: Panel) -> Any:
    return (
        _targets(common_parts(statetimeline.Panel(), panel), panel)
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
    )


def _heatmap(panel: Panel) -> Any:
    return _targets(common_parts(heatmap.Panel(), panel), panel, form=PromQueryFormat.HEATMAP).calculate(
        False
    )


_PANELS: Mapping[Kind, Build] = {
    Kind.LINES: _lines,
    Kind.STACK: _lines,
    Kind.STAT: _stat,
    Kind.TABLE: _table,
    Kind.STATES: _states,
    Kind.HEATMAP: _heatmap,
}
