"""The dashboards over a real Prometheus that scrapes real components."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from cluster.shell import wait_until
from observability import shown
from observability.contract import Component, Metric, contract
from observability.dashboards import BOARDS
from observability.promql import metrics_of
from tests.e2e.conftest import Deployment

APPEAR_TIMEOUT = 120.0
EVERYTHING = {"cluster": ".*", "namespace": ".*", "pipeline": ".*"}
CHOICES = {"all": EVERYTHING, "one": {**EVERYTHING, "namespace": "default", "pipeline": "demo"}}


RUNNING = {Component.PRODUCER, Component.DETECTOR, Component.OPERATOR}


def is_steady(metric: Metric) -> bool:
    """Whether a component exports it from its start on, whatever comes: no label but its pipeline."""
    # A replay has no sources that could be silent; and no event time before its first tick.
    if metric.name in (
        "stockpipeline_producer_staleness_seconds",
        "stockpipeline_producer_event_time_seconds",
    ):
        return False
    if metric.component not in RUNNING:
        return False
    return metric.labels == (() if metric.component is Component.OPERATOR else ("pipeline",))


STEADY = {name for metric in contract() if is_steady(metric) for name in metric.series_names} | {
    "up", "process_resident_memory_bytes", "process_cpu_seconds_total", "python_gc_collections_total",
}  # fmt: skip


def as_chosen(query: str, choice: dict[str, str]) -> str:
    """A panel's query as Grafana would send it."""
    for name, value in choice.items():
        query = query.replace(f'"${name}"', f'"{value}"')
    for name, value in {"$__rate_interval": "1m", "$__range": "1h"}.items():
        query = query.replace(name, value)
    assert not re.search(r"\$[a-z_]", query)
    return query


def panels(choice: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Every panel's queries, with what they need."""
    for board in BOARDS:
        for title, query in shown.queries(board):
            yield f"{board.title}: {title}", as_chosen(query, choice)


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_prometheus_answers_every_panel(deployment: Deployment, choice: dict[str, str]) -> None:
    for _, query in panels(choice):
        deployment.query(query)  # raises where Prometheus refuses it


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_panels_of_what_runs_have_data(deployment: Deployment, choice: dict[str, str]) -> None:
    wanted = [(title, query) for title, query in panels(choice) if metrics_of(query) <= STEADY]
    assert len(wanted) > 20

    def empty() -> list[str]:
        return [title for title, query in wanted if not deployment.query(query)]

    try:
        wait_until(lambda: not empty(), APPEAR_TIMEOUT, "panels have data")
    except TimeoutError:
        assert empty() == []


def test_prometheus_evaluates_the_rules(deployment: Deployment) -> None:
    loaded = "stockpipeline:rules:loaded"
    wait_until(lambda: deployment.value(loaded) == 1, APPEAR_TIMEOUT, "the rules are evaluated")
