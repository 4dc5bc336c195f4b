"""How the runs of a batch are judged."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.reconcile.batch_runs import Runs
from stockpipeline_operator.reconcile.batch_succeeded import judge

# A Friday; the exchange closes at 21:00.
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
ADDED = datetime(2026, 11, 20, 18, tzinfo=UTC)
DONE = {"run": "a", "session": "2026-11-20", "ok": True, "at": "2026-11-20T23:09:00+00:00"}
FAILED = {
    "run": "a",
    "session": "2026-11-20",
    "ok": False,
    "task": "coverage_gate",
    "error": "CoverageTooLow",
    "message": "90 of 100 symbols have a bar",
    "at": "2026-11-20T23:04:11+00:00",
}
RUNNING = {"run": "b", "session": "2026-11-23", "since": "2026-11-23T23:00:02+00:00"}


def spec(**batch: Any) -> StockPipelineSpec:
    return StockPipelineSpec.model_validate(
        {
            "universe": {"symbols": ["IBM"]},
            "sources": [{"name": "yahoo", "yahoo": {}}],
            "store": {},
            "replicaSync": {},
            "batch": batch,
        }
    )


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("runs", "now", "holds", "reason"),
    [
        (Runs(ADDED), at(20, 22), None, "NotRunYet"),
        (Runs(ADDED, running=RUNNING), at(20, 23), None, "Running"),
        (Runs(ADDED, DONE, newest=FRIDAY), at(21, 12), True, "Succeeded"),
        (Runs(ADDED, FAILED), at(20, 23), False, "CoverageTooLow"),
        # A run that goes on says nothing about the one before it.
        (Runs(ADDED, DONE, RUNNING, FRIDAY), at(23, 23), True, "Succeeded"),
        (Runs(ADDED, DONE, newest=FRIDAY), at(24, 1), True, "Succeeded"),
        # Two hours after the close it should begin, and three hours later be over.
        (Runs(ADDED, DONE, newest=FRIDAY), at(24, 3), False, "Late"),
        (Runs(ADDED, DONE, RUNNING, FRIDAY), at(24, 3), False, "Late"),
        (Runs(ADDED), at(21, 3), False, "Late"),
        # It was added a moment ago, for a session that is over for long.
        (Runs(at(21, 2), running=RUNNING), at(21, 3), None, "Running"),
        # The first session is Monday's.
        (Runs(at(21, 0)), at(22, 12), None, "NotRunYet"),
        # A session of the past was run by hand.
        (Runs(ADDED, {**DONE, "session": "2026-03-02"}, newest=MONDAY), at(24, 3), True, "Succeeded"),
    ],
)
def test_runs_are_judged(runs: Runs, now: datetime, holds: bool | None, reason: str) -> None:
    found = judge(spec(), runs, now)
    assert (found.holds, found.reason) == (holds, reason)


def test_a_failure_says_which_task_and_why() -> None:
    found = judge(spec(), Runs(ADDED, FAILED), at(20, 23))
    assert "session 2026-11-20: coverage_gate: 90 of 100 symbols have a bar" in found.message


def test_what_is_no_word_is_no_reason() -> None:
    found = judge(spec(), Runs(ADDED, {**FAILED, "error": "the Kubernetes API"}), at(20, 23))
    assert found.reason == "Failed"


def test_a_suspended_pipeline_is_not_late() -> None:
    suspended = spec().model_copy(update={"suspend": True})
    assert judge(suspended, Runs(ADDED), at(24, 12)).reason == "NotRunYet"


def test_the_wish_for_the_first_session_counts() -> None:
    found = judge(spec(schedule={"start": "2026-11-20"}), Runs(at(23, 0)), at(24, 1))
    assert found.reason == "Late"


def test_the_record_is_read_as_airflow_writes_it() -> None:
    found = Runs.of(
        {
            "metadata": {"creationTimestamp": "2026-11-20T18:00:00Z"},
            "data": {"last": json.dumps(DONE), "running": json.dumps(RUNNING), "newest": "2026-11-20"},
        }
    )
    assert found == Runs(ADDED, DONE, RUNNING, FRIDAY)


@pytest.mark.parametrize("data", [None, {}, {"last": "{", "running": "[]", "newest": "soon"}])
def test_what_cannot_be_read_is_not_known(data: dict[str, str] | None) -> None:
    found = Runs.of({"metadata": {"creationTimestamp": "2026-11-20T18:00:00Z"}, "data": data})
    assert found == Runs(ADDED)
