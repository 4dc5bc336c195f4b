"""What the components export: all of it declared where the contract looks, described, and bounded."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from pathlib import Path

import pytest

from observability.alerts.slo import OBJECTIVES
from observability.contract import _DECLARED, BOUNDS, TARGET_LABELS, Component, contract
from observability.generate import REPOSITORY, generated

METRICS = contract()
CONSTRUCTORS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}


def declaring_modules() -> set[Path]:
    """The modules of the product that take a metric's class from Prometheus' client."""
    found = set()
    for file in itertools.chain(
        (REPOSITORY / "services/stockpipeline").rglob("*.py"),
        (REPOSITORY / "operator/stockpipeline_operator").rglob("*.py"),
    ):
        text = file.read_text()
        for node in ast.parse(text).body if "prometheus_client" in text else ():
            client = isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
            if client and CONSTRUCTORS & {alias.name for alias in node.names}:
                found.add(file)
    return found


def test_the_contract_has_every_module_that_declares_metrics() -> None:
    contract_imports = ast.parse((REPOSITORY / "observability/contract.py").read_text())
    read = {
        Path(str(sys.modules[node.module].__file__)).resolve()
        for node in ast.walk(contract_imports)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.endswith("metrics")
        if not node.module.startswith("prometheus_client")
    }
    assert {file.resolve() for file in declaring_modules()} == read


def test_every_class_of_metrics_is_read() -> None:
    classes = {
        node.name
        for file in declaring_modules()
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    assert len(_DECLARED) == len(classes), classes


def test_names_are_unique_and_prefixed() -> None:
    names = [name for metric in METRICS for name in metric.series_names]
    assert len(names) == len(set(names))
    assert all(name.startswith("stockpipeline_") for name in names)


def test_only_counters_end_in_total() -> None:
    assert {m.name for m in METRICS if m.kind == "counter"} == {
        m.name for m in METRICS if m.name.endswith("_total")
    }


def test_every_metric_says_what_it_is() -> None:
    for metric in METRICS:
        assert len(metric.meaning.split()) > 2, metric.name
        assert "|" not in metric.meaning, "it would break the table"


def test_every_label_is_known_to_be_bounded() -> None:
    assert {label for metric in METRICS for label in metric.labels} == set(BOUNDS)
    assert "symbol" not in BOUNDS


def test_no_label_is_overwritten_by_whoever_scrapes() -> None:
    for metric in METRICS:
        assert not TARGET_LABELS & set(metric.labels), metric.name


def test_services_tell_their_pipelines_apart() -> None:
    for metric in METRICS:
        if metric.component not in (Component.OPERATOR, Component.AIRFLOW):
            assert "pipeline" in metric.labels, metric.name


@pytest.mark.parametrize(
    ("histogram", "targets"),
    [
        # At least once at 2,000 and 20,000 ticks a second; exactly once; what is promised.
        ("stockpipeline_detector_tick_to_signal_seconds", {0.008, 0.012, 0.12, 1.0}),
        ("stockpipeline_replica_freshness_seconds", {15.0}),
        ("stockpipeline_signal_net_return_ratio", {0.0}),
    ],
)
def test_what_is_aimed_at_is_a_bound_of_its_histogram(histogram: str, targets: set[float]) -> None:
    """Which share kept it can only be asked for where it is a bucket's bound."""
    (found,) = [metric for metric in METRICS if metric.name == histogram]
    assert targets <= set(found.buckets)


def test_what_is_promised_is_asked_of_bounds_that_there_are() -> None:
    bounds = {f"{metric.name}_bucket": metric.buckets for metric in METRICS}
    for objective in OBJECTIVES:
        for name, bound in re.findall(r'(\w+_bucket)\{le="([^"]+)"', objective.errors):
            assert float(bound) in bounds[name], objective.slo


def test_committed_files_are_as_generated() -> None:
    for path, text in generated().items():
        assert (REPOSITORY / path).read_text() == text, f"{path}: run `make generate`"
