"""What the operator exports of the batches' runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.batch_metrics import BatchMetrics
from stockpipeline_operator.reconcile.batch_figures import Batches, BatchFigures
from stockpipeline_operator.reconcile.batch_runs import Runs

# The session of Friday the 20th is due at 23:00, and overdue three hours later.
NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
MIDNIGHT_OF_THE_19TH, AT_23_04, AT_23_34 = 1795046400.0, 1795215840.0, 1795217640.0
SPEC = StockPipelineSpec.model_validate(
    {
        "universe": {"symbols": ["IBM"]},
        "sources": [{"name": "yahoo", "yahoo": {}}],
        "store": {},
        "replicaSync": {},
        "batch": {"minimumCoverage": 0.9},
    }
)
FAILED = {
    "run": "a", "session": "2026-11-20", "ok": False, "task": "coverage_gate", "error": "CoverageTooLow",
    "message": "9 of 10", "since": "2026-11-20T23:04:00+00:00", "at": "2026-11-20T23:34:00+00:00",
}  # fmt: skip
RECORD = {
    "last": json.dumps(FAILED),
    "newest": "2026-11-19",
    "seconds.collect_symbols": "3.5",
    "seconds.download_ohlcv.0": "40.0",
    "seconds.download_ohlcv.1": "65.0",
    "seconds.coverage_gate": "soon",
    "seconds.": "1",
}


def runs(data: dict[str, str]) -> Runs:
    return Runs.of({"metadata": {"creationTimestamp": "2026-11-02T18:00:00Z"}, "data": data})


def shown(batches: Batches) -> dict[str, float]:
    registry = CollectorRegistry()
    BatchMetrics(registry).show(batches.all())
    return {
        "/".join((sample.name.removeprefix("stockpipeline_batch_"), *list(sample.labels.values())[2:])): (
            sample.value
        )
        for metric in registry.collect()
        for sample in metric.samples
        if sample.labels["pipeline_namespace"] == "desk"
    }


def of(spec: StockPipelineSpec, data: dict[str, str], now: datetime = NOW) -> dict[str, float]:
    batches = Batches()
    batches.note(("desk", "nightly"), BatchFigures.of(spec, runs(data), now))
    return shown(batches)


def test_a_run_that_failed_is_shown_with_its_step_and_its_times() -> None:
    assert of(SPEC, RECORD) == {
        "minimum_coverage_ratio": 0.9,
        "overdue": 0,
        "done_session_seconds": MIDNIGHT_OF_THE_19TH,
        "ended_seconds": AT_23_34,
        "run_seconds": AT_23_34 - AT_23_04,
        "failure/coverage_gate/CoverageTooLow": 1,
        "step_seconds/collect_symbols": 3.5,
        "step_seconds/download_ohlcv": 65.0,
    }


def test_what_is_not_known_is_not_shown() -> None:
    assert of(SPEC, {}) == {"minimum_coverage_ratio": 0.9, "overdue": 1}
    assert of(SPEC.model_copy(update={"suspend": True}), {}) == {"minimum_coverage_ratio": 0.9}


def test_a_run_under_way_has_its_beginning() -> None:
    running: dict[str, Any] = {"run": "b", "session": "2026-11-20", "since": "2026-11-20T23:04:00+00:00"}
    assert of(SPEC, {"running": json.dumps(running)})["began_seconds"] == AT_23_04


def test_it_is_overdue_three_hours_after_it_should_have_begun() -> None:
    assert of(SPEC, RECORD, datetime(2026, 11, 21, 1, 59, tzinfo=UTC))["overdue"] == 0
    assert of(SPEC, RECORD, datetime(2026, 11, 21, 2, 1, tzinfo=UTC))["overdue"] == 1


def test_a_failure_that_is_mended_and_a_pipeline_that_is_gone_are_shown_no_longer() -> None:
    registry, batches = CollectorRegistry(), Batches()
    metrics = BatchMetrics(registry)
    names = {"pipeline_namespace": "desk", "pipeline": "nightly"}
    for data in (RECORD, {"last": json.dumps({**FAILED, "ok": True}), "newest": "2026-11-20"}):
        batches.note(("desk", "nightly"), BatchFigures.of(SPEC, runs(data), NOW))
        metrics.show(batches.all())
    failure = {**names, "step": "coverage_gate", "error": "CoverageTooLow"}
    assert registry.get_sample_value("stockpipeline_batch_failure", failure) is None
    assert registry.get_sample_value("stockpipeline_batch_overdue", names) == 0
    batches.forget(("desk", "nightly"))
    metrics.show(batches.all())
    assert registry.get_sample_value("stockpipeline_batch_overdue", names) is None
