"""Where each metric is shown, and which are not on purpose."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from observability.alerts import LOCAL
from observability.alerts.rule import Alert
from observability.dashboards import BOARDS
from observability.dashboards.board import Board
from observability.promql import metrics_of

INTERNAL: Mapping[str, str] = {}
"""Metrics that are shown nowhere, and why they are there nevertheless."""


def queries(board: Board) -> Iterator[tuple[str, str]]:
    """Yield the title of each panel with each of its queries."""
    for row in board.rows:
        for panel in row.panels:
            for query in panel.queries:
                yield panel.title, query.promql


def places() -> Mapping[str, list[str]]:
    """Return for each series the dashboards, then the alerts and recordings, that read it."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for board in BOARDS:
        for _, query in queries(board):
            for name in metrics_of(query):
                found[name][board.title.removeprefix("StockPipeline / ")] = None
    for group in LOCAL:
        for rule in group.rules:
            for name in metrics_of(rule.expr):
                found[name][rule.full_name if isinstance(rule, Alert) else rule.name] = None
    return {name: list(where) for name, where in found.items()}


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard's JSON, without its rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def load(text: str) -> dict[str, Any]:
    """Return a dashboard's JSON as an object."""
    loaded: dict[str, Any] = json.loads(text)
    return loaded
