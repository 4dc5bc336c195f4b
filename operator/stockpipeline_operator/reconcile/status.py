"""Writes the status of a resource: only when it changed, and only over the version that was looked at."""

import datetime

from pydantic import ValidationError

from stockpipeline.api import Component, Condition, ConditionType, Release, StockPipelineStatus
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Verdict, conditions


def status_of(
    pipeline: Pipeline, observed: Observed | None, verdict: Verdict, now: datetime.datetime
) -> StockPipelineStatus:
    """The status to report. Where nothing could be observed, what was reported before stays."""
    before = previous(pipeline.resource)
    components, release = before.components, before.release
    if observed is not None:
        components = tuple(
            Component(name=one.component, kind=DEPLOYMENT.kind, ready=one.ready, desired=one.desired)
            for one in observed.workloads
        )
        release = None
        if observed.release is not None:
            found = observed.release
            release = Release(name=found.name, revision=found.revision, digest=found.digest)
    return StockPipelineStatus(
        observed_generation=pipeline.generation,
        conditions=conditions(verdict, pipeline.generation, before.conditions, now),
        symbols=len(pipeline.resource["spec"]["universe"].get("symbols", ())),
        components=components,
        release=release,
    )


def previous(resource: Object) -> StockPipelineStatus:
    """The status that the resource has; empty where it has none, or one that another version wrote."""
    try:
        return StockPipelineStatus.model_validate(resource.get("status", {}))
    except ValidationError:
        return StockPipelineStatus()


def ready_condition(status: StockPipelineStatus) -> Condition | None:
    """The condition that sums up."""
    return next((one for one in status.conditions if one.type == ConditionType.READY), None)


def write(client: KubeClient, pipeline: Pipeline, status: StockPipelineStatus) -> bool:
    """Write the status if it differs from the one that the resource has; return whether it did.

    Raises:
        Conflict: the resource has changed since it was read; the next pass sees the change.
    """
    if status == previous(pipeline.resource):
        return False
    wire: Object = status.to_wire()
    # A merge patch keeps what it does not mention.
    wire.setdefault("release", None)
    metadata = {"resourceVersion": pipeline.resource["metadata"]["resourceVersion"]}
    path = STOCK_PIPELINE.path(pipeline.namespace, pipeline.name, "status")
    client.merge(path, {"metadata": metadata, "status": wire})
    return True
