"""The condition BatchSucceeded, from what Airflow has written down of the runs.

Airflow's tasks write into the ConfigMap NAME-batch-run how the last run ended (`last`), which run is under
way (`running`), and the newest session that is done (`newest`). A batch that writes nothing although a
session is over for long is late, whatever the reason: no Airflow, no right to make pods, a run that hangs.
"""

import datetime
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from stockpipeline.api import Condition, ConditionType, StockPipelineSpec, duration
from stockpipeline.market.exchange_hours import ExchangeHours, OutOfTable
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import CONFIG_MAP
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Finding, kept

_TYPE = ConditionType.BATCH_SUCCEEDED
# Of a run, with all that is tried again.
_PATIENCE = datetime.timedelta(hours=3)
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True)
class Runs:
    """What is known of a pipeline's runs."""

    since: datetime.datetime
    """When the batch was added."""
    last: Mapping[str, Any] | None = None
    running: Mapping[str, Any] | None = None
    newest: datetime.date | None = None

    @classmethod
    def of(cls, found: Object) -> Self:
        """Read them from the ConfigMap; what cannot be read is not known."""
        data = found.get("data") or {}
        return cls(
            datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"]),
            _entry(data, "last"),
            _entry(data, "running"),
            _date(data.get("newest", "")),
        )


def batch_succeeded(
    client: KubeClient,
    pipeline: Pipeline,
    observed: Observed | None,
    previous: Iterable[Condition],
    now: datetime.datetime,
) -> tuple[Finding, ...]:
    """How the pipeline's batch went; nothing where it has none. Raises `ApiError`."""
    if observed is None or pipeline.config is None:
        before = kept(_TYPE, previous)
        return (before,) if before is not None else ()
    spec = pipeline.config.spec
    if spec.batch is None or observed.release is None:
        return ()
    name = f"{pipeline.name}-batch-run"
    found = client.get(CONFIG_MAP.path(pipeline.namespace, name))
    if found is None:
        message = (
            f"the release has no ConfigMap {name} yet: it is being made, or an upgrade of the operator waits "
            "to be accepted (see UpgradeAvailable)"
        )
        return (Finding(_TYPE, None, "NotMadeYet", message),)
    return (judge(spec, Runs.of(found), now),)


def judge(spec: StockPipelineSpec, runs: Runs, now: datetime.datetime) -> Finding:
    """Judge the runs. The message changes only when something has happened."""
    last = runs.last
    if last is not None and not last.get("ok"):
        error = str(last.get("error", ""))
        message = (
            f"session {last.get('session')}: {last.get('task')}: {last.get('message')} "
            f"(at {last.get('at')}). When that is mended, clear the task in Airflow: the run goes on there"
        )
        return Finding(_TYPE, False, error if _REASON.fullmatch(error) else "Failed", message)
    due = None if spec.suspend else _overdue(spec, runs, now)
    if due is not None:
        under_way = f"; {runs.running.get('session')} is under way" if runs.running is not None else ""
        message = (
            f"session {due} is over for hours and not done{under_way}: see whether Airflow runs, and what "
            "its tasks say"
        )
        return Finding(_TYPE, False, "Late", message)
    if last is not None:
        message = f"session {last.get('session')} is in the store and in Redis (at {last.get('at')})"
        return Finding(_TYPE, True, "Succeeded", message)
    if runs.running is not None:
        return Finding(_TYPE, None, "Running", f"session {runs.running.get('session')} is under way")
    message = f"no run has ended yet; it runs for sessions from {_first(spec, runs)} on"
    return Finding(_TYPE, None, "NotRunYet", message)


def _first(spec: StockPipelineSpec, runs: Runs) -> datetime.date:
    assert spec.batch is not None
    return spec.batch.schedule.start or runs.since.date()


def _overdue(spec: StockPipelineSpec, runs: Runs, now: datetime.datetime) -> datetime.date | None:
    """The newest session that should be done for long and is not; None where there is none."""
    assert spec.batch is not None
    if now < runs.since + _PATIENCE:  # sessions before are made up for; that takes its time, too
        return None
    wait = duration(spec.batch.schedule.after_close) + _PATIENCE
    try:
        newest = ExchangeHours.of(spec.universe.exchange.value).last_close(now - wait).date()
    except OutOfTable:
        return None
    if newest < _first(spec, runs) or (runs.newest is not None and runs.newest >= newest):
        return None
    return newest


def _entry(data: Mapping[str, str], name: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(data.get(name, "null"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None
