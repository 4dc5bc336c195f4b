"""Dashboards that cannot rot: queries parse and read what is exported, all that is exported is shown, and the
rules of Grafana's dashboard-linter hold, as far as they are not about logs or the labels job and instance."""

from __future__ import annotations

import re
from typing import Any

import pytest
from promql_parser import Call, Expr, MatrixSelector, VectorSelector, parse, walk

from observability import alerts, shown
from observability.alerts.rule import Alert
from observability.contract import contract
from observability.dashboards import BOARDS, layout
from observability.exported import exported
from observability.promql import as_promql, labels_of

KNOWN = exported()
DASHBOARDS = {board.uid: shown.load(layout.render(board)) for board in BOARDS}
PANELS = [
    pytest.param(uid, panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in DASHBOARDS.items()
    for panel in shown.panels(dashboard)
]
QUERIES = [
    pytest.param(uid, panel, target["expr"], id=f"{uid}: {panel['title']} {target['refId']}")
    for uid, dashboard in DASHBOARDS.items()
    for panel in shown.panels(dashboard)
    for target in panel["targets"]
]
ALERTS = [rule for group in alerts.LOCAL for rule in group.rules if isinstance(rule, Alert)]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_it_can_be_installed_anywhere(dashboard: dict[str, Any]) -> None:
    assert dashboard["uid"].startswith("stockpipeline-")
    assert "id" not in dashboard
    assert not {"__inputs", "__requires"} & dashboard.keys()
    assert dashboard["editable"] is False
    assert dashboard["description"]
    assert dashboard["graphTooltip"] == 1, "a shared crosshair"
    assert [link["tags"] for link in dashboard["links"]] == [["stockpipeline"]]


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_its_variables_work_for_one_and_for_all(dashboard: dict[str, Any]) -> None:
    source, *others = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert [one["name"] for one in others] == ["cluster", "namespace", "pipeline"]
    for one in others:
        assert one["datasource"] == SOURCE
        assert one["refresh"] == 2, "when the time range changes"
        assert one["includeAll"]
        assert one["allValue"] == ".*", "a list would leave out series without the label"
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"])
        assert found
        assert found[2] in labels_of(found[1], KNOWN)


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_its_panels_have_numbers_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_annotations_read_what_is_exported(dashboard: dict[str, Any]) -> None:
    for annotation in dashboard["annotations"]["list"]:
        assert annotation["datasource"] == SOURCE
        named = set(re.findall(r"{{(\w+)}}", annotation["titleFormat"]))
        assert named
        assert named <= labels_of(annotation["expr"], KNOWN)


@pytest.mark.parametrize(("_uid", "panel"), PANELS)
def test_a_panel_says_what_it_shows(_uid: str, panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"] == "no data"
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    for runbook in re.findall(r"StockPipeline[A-Z]\w+", panel["description"]):
        assert runbook in {f"StockPipeline{alert.name}" for alert in ALERTS}


@pytest.mark.parametrize(("_uid", "panel", "query"), QUERIES)
def test_a_query_reads_what_is_exported(_uid: str, panel: dict[str, Any], query: str) -> None:
    labels = labels_of(query, KNOWN)
    for target in panel["targets"]:
        if target["expr"] == query:
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels


@pytest.mark.parametrize(("_uid", "_panel", "query"), QUERIES)
def test_a_counter_is_only_read_as_a_rate(_uid: str, _panel: dict[str, Any], query: str) -> None:
    ranged: set[str] = set()
    names: list[str] = []

    def visit(expr: Expr) -> None:
        if isinstance(expr, Call) and expr.func.name in ("rate", "increase", "irate"):
            argument = expr.args[0]
            assert isinstance(argument, MatrixSelector)
            ranged.add(argument.vector_selector.name or "")
        if isinstance(expr, VectorSelector):
            names.append(expr.name or "")

    walk(parse(as_promql(query)), visit)
    counters = {name for name in names if re.search(r"_(total|bucket|count|sum)$", name)}
    assert counters <= ranged


@pytest.mark.parametrize(("uid", "_panel", "query"), QUERIES)
def test_a_rate_is_over_the_interval_that_grafana_knows_to_be_long_enough(
    uid: str, _panel: dict[str, Any], query: str
) -> None:
    windows = set(re.findall(r"\[([^\]]+)\]", query))
    allowed = {"$__rate_interval", "$__range"} | ({"30d"} if uid == "stockpipeline-slo" else set())
    assert windows <= allowed


@pytest.mark.parametrize(("uid", "_panel", "query"), QUERIES)
def test_a_query_follows_the_chosen_variables(uid: str, _panel: dict[str, Any], query: str) -> None:
    selectors: list[set[tuple[str, str, str]]] = []

    def visit(expr: Expr) -> None:
        selector = expr.vector_selector if isinstance(expr, MatrixSelector) else expr
        if isinstance(selector, VectorSelector) and selector.name != "stockpipeline:rules:loaded":
            matchers = selector.matchers.matchers
            selectors.append({(one.name, str(one.op), one.value) for one in matchers})

    walk(parse(as_promql(query)), visit)
    assert selectors
    for matchers in selectors:
        variables = {value for _, _, value in matchers if value.startswith("$")}
        assert "$cluster" in variables
        assert all(
            name.removeprefix("pipeline_") in value for name, _, value in matchers if value in variables
        )
        if "$pipeline" in query:
            assert {"$namespace", "$pipeline"} <= variables


def test_every_metric_is_shown_somewhere_or_is_internal() -> None:
    places = shown.places()
    hidden = {metric.name for metric in contract() if not any(name in places for name in metric.series_names)}
    assert hidden == set(shown.INTERNAL), "put it on a dashboard, or say in shown.INTERNAL why not"


def test_every_alert_leads_to_a_dashboard_that_is_there() -> None:
    assert {f"stockpipeline-{alert.dashboard}" for alert in ALERTS} <= set(DASHBOARDS)
