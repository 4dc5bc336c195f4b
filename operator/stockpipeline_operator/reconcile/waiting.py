"""Says in words what waits, for what, and how to let it go on. Pure."""

from stockpipeline.api import (
    APPROVE_ANNOTATION,
    ConditionType,
    Plan,
    PlannedAction,
    PlanReason,
)
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.changes import plan_digest
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Finding, kept


def waiting_sentence(pipeline: Pipeline, plan: Plan | None) -> str:
    """What a plan would do, and what it waits for."""
    if plan is None:
        return ""
    if plan.reason is PlanReason.WINDOW:
        assert pipeline.config is not None
        exchange = pipeline.config.spec.universe.exchange
        return f"a change that {summary(plan)} waits for the close of {exchange}"
    given = pipeline.approved
    earlier = f"the approval {given} is for another plan. " if given not in ("", plan.digest) else ""
    return (
        f"{_failure(pipeline, pipeline)}{earlier}plan {plan.digest} {summary(plan)} (see status.plan). "
        f"It is carried out after: {approval(pipeline, plan.digest)}"
    )


def _failure(pipeline: Pipeline, wanted: Pipeline) -> str:
    """How the last attempt at what is wanted went, where it failed."""
    failed = pipeline.reported.failed_rollout
    if failed is None or failed.digest != wanted.digest:
        return ""
    return f"the last attempt, revision {failed.revision}, failed: {failed.message}. "


def approval(pipeline: Pipeline, digest: str) -> str:
    """The command that approves a plan."""
    return (
        f"kubectl annotate stockpipeline {pipeline.name} --namespace {pipeline.namespace} --overwrite "
        f"{APPROVE_ANNOTATION}={digest}"
    )


def summary(plan: Plan) -> str:
    """What a plan would do: `creates 2 objects, changes 1, restarts producer`."""
    counts = {action: sum(one.action is action for one in plan.changes) for action in PlannedAction}
    words = {
        PlannedAction.CREATE: "creates",
        PlannedAction.CHANGE: "changes",
        PlannedAction.DELETE: "deletes",
    }
    parts = [f"{words[action]} {count}" for action, count in counts.items() if count]
    if plan.more_changes:
        parts.append(f"touches {plan.more_changes} more")
    restarted = [one.name for one in plan.changes if one.restarts]
    if not parts:
        return "changes no object"
    return ", ".join(parts) + (f", restarts {', '.join(restarted)}" if restarted else ", restarts nothing")


def upgrade_available(
    pipeline: Pipeline, held: Pipeline | None, observed: Observed | None, plan: Plan | None
) -> Finding:
    """Whether the operator brings a newer chart or image than the release was made with."""
    type_ = ConditionType.UPGRADE_AVAILABLE
    before = kept(type_, pipeline.reported.conditions)
    if observed is None and before is not None:
        return before
    if held is None or observed is None or observed.release is None:
        return Finding(type_, False, "UpToDate", "the release is made with what this operator brings")
    digest = plan_digest(observed.release, held.digest)
    effect = f", which {summary(plan)} (see status.plan)" if plan and plan.digest == digest else ""
    message = (
        f"{_failure(pipeline, held)}this operator brings {_brought(held.base)}{effect}. The release keeps "
        f"what it was made with until: {approval(pipeline, digest)}; spec.upgradePolicy: Auto takes upgrades "
        "without it"
    )
    return Finding(type_, True, "Held", message)


def _brought(base: Base) -> str:
    settings = base.settings
    return (
        f"chart {base.chart.handle.version} ({base.chart.identity[:12]}) and image "
        f"{settings.services_repository}:{settings.services_tag}"
    )
