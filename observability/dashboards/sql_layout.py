"""Grafana's JSON of a dashboard that asks a replica by SQL, through the data source Infinity (a plugin)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from grafana_foundation_sdk.builders import dashboard, table, timeseries
from grafana_foundation_sdk.models import dashboard as model

from observability.dashboards.board import Board, Kind, Panel, SqlPanel
from observability.dashboards.layout import begun, common_parts, finished, text_of

INFINITY = "yesoreyeram-infinity-datasource"
URL = "http://${pipeline}-replica.${namespace}.svc:8081/query"
_SOURCE = model.DataSourceRef(type_val=INFINITY, uid="${replica}")
_TEXTS: Mapping[str, tuple[str, str]] = {
    "namespace": ("Namespace", "default"),
    "pipeline": ("Pipeline", "demo"),
    "symbol": ("Symbol (% for all)", "%"),
}


@dataclass(frozen=True)
class _Target:
    """Infinity's notation of a query, for which the SDK has no word; answers as its encoder asks."""

    content: dict[str, Any]

    def build(self) -> Self:
        return self

    def to_json(self) -> dict[str, Any]:
        return self.content


def render(board: Board) -> str:
    """Return the dashboard's JSON."""
    made = begun(board).with_variable(
        dashboard.DatasourceVariable("replica").type(INFINITY).label("Replica (Infinity)")
    )
    for name, (label, value) in _TEXTS.items():
        made = made.with_variable(dashboard.TextBoxVariable(name).label(label).default_value(value))
    return text_of(finished(made, board, _panel))


def request(panel: SqlPanel) -> dict[str, Any]:
    """The body of a panel's request; the symbol is a parameter, so its text is never SQL."""
    return {"sql": " ".join(panel.sql.split()), "parameters": ["${symbol}"]}


def _panel(panel: Panel) -> Any:
    assert isinstance(panel, SqlPanel)
    lines = panel.kind is not Kind.TABLE
    target = {
        "refId": "A",
        "datasource": {"type": INFINITY, "uid": "${replica}"},
        "type": "json",
        "parser": "backend",
        "source": "url",
        "format": "timeseries" if lines else "table",
        "url": URL,
        "url_options": {
            "method": "POST",
            "body_type": "raw",
            "body_content_type": "application/json",
            "data": json.dumps(request(panel)),
        },
        "root_selector": "rows",
        "columns": [
            {"selector": str(number), "text": column.name, "type": column.kind}
            for number, column in enumerate(panel.columns)
        ],
        "filters": [],
    }
    builder = timeseries.Panel().line_width(1).fill_opacity(10) if lines else table.Panel()
    return common_parts(builder, panel, _SOURCE).with_target(_Target(target))
