"""The condition BatchSucceeded, from what Airflow has written down of the runs (`batch_runs`).

A batch that writes nothing although a session is over for long is late, whatever the reason: no Airflow, no
right to make pods, a run that hangs.
"""

import datetime
from collections.abc import Iterable

from stockpipeline.api import Condition, ConditionType, StockPipelineSpec
from stockpipeline_operator.kube.client import KubeClient
from stockpipeline_operator.kube.resources import CONFIG_MAP
from stockpipeline_operator.reconcile.batch_figures import Batches, BatchFigures
from stockpipeline_operator.reconcile.batch_runs import Runs, first_session, overdue
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Finding, kept

_TYPE = ConditionType.BATCH_SUCCEEDED


def batch_succeeded(
    client: KubeClient,
    batches: Batches,
    pipeline: Pipeline,
    observed: Observed | None,
    previous: Iterable[Condition],
    now: datetime.datetime,
) -> tuple[Finding, ...]:
    """How the pipeline's batch went; nothing where it has none. Its figures go to `batches`.

    Raises:
        ApiError: the record of the runs cannot be read.
    """
    if observed is None or pipeline.config is None:
        before = kept(_TYPE, previous)
        return (before,) if before is not None else ()
    spec = pipeline.config.spec
    if spec.batch is None or observed.release is None:
        batches.forget(pipeline.key)
        return ()
    name = f"{pipeline.name}-batch-run"
    found = client.get(CONFIG_MAP.path(pipeline.namespace, name))
    if found is None:
        message = (
            f"the release has no ConfigMap {name} yet: it is being made, or an upgrade of the operator waits "
            "to be accepted (see UpgradeAvailable)"
        )
        return (Finding(_TYPE, None, "NotMadeYet", message),)
    runs = Runs.of(found)
    batches.note(pipeline.key, BatchFigures.of(spec, runs, now))
    return (judge(spec, runs, now),)


def judge(spec: StockPipelineSpec, runs: Runs, now: datetime.datetime) -> Finding:
    """Judge the runs. The message changes only when something has happened."""
    last = runs.last
    if last is not None and runs.failed:
        message = (
            f"session {last.get('session')}: {last.get('task')}: {last.get('message')} "
            f"(at {last.get('at')}). When that is mended, clear the task in Airflow: the run goes on there"
        )
        return Finding(_TYPE, False, runs.error, message)
    due = None if spec.suspend else overdue(spec, runs, now)
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
    message = f"no run has ended yet; it runs for sessions from {first_session(spec, runs)} on"
    return Finding(_TYPE, None, "NotRunYet", message)
