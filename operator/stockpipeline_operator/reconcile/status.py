"""Writes the status of a resource: only when it changed, and only over the version that was looked at."""

import datetime

from stockpipeline.api import Component, Condition, ConditionType, Release, StockPipelineStatus
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE
from stockpipeline_operator.reconcile.batch_succeeded import batch_succeeded
from stockpipeline_operator.reconcile.feed_findings import feed_findings
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.replicas_fresh import replicas_fresh
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Verdict, conditions, drifted, summary
from stockpipeline_operator.reconcile.waiting import upgrade_available
from stockpipeline_operator.reconcile.work import Work


def status_of(
    work: Work, observed: Observed | None, verdict: Verdict, now: datetime.datetime
) -> StockPipelineStatus:
    """The status to report. Where nothing could be observed, what was reported before stays."""
    pipeline = work.pipeline
    before = pipeline.reported
    components, release, plan = before.components, before.release, before.plan
    good, failed = before.good_digest, before.failed_rollout
    if failed is not None and failed.digest not in _wanted(work):
        failed = None  # something else is wanted
    if observed is not None:
        components = tuple(
            Component(name=one.component, kind=DEPLOYMENT.kind, ready=one.ready, desired=one.desired)
            for one in observed.workloads
        )
        release, plan = None, work.plan
        if observed.release is not None:
            found = observed.release
            release = Release(name=found.name, revision=found.revision, digest=found.digest)
            if verdict.ready:
                good = found.digest
                if failed is not None and failed.digest == good:
                    failed = None  # it works after all
    feed = feed_findings(work.tools.feed, pipeline, observed)
    found_conditions = (
        *summary(verdict),
        drifted(observed, work.corrected, before.conditions, now),
        upgrade_available(pipeline, work.held, observed, plan),
        *feed.conditions,
        *replicas_fresh(work.tools.replicas, pipeline, observed, before.conditions),
        *batch_succeeded(work.tools.client, work.tools.batches, pipeline, observed, before.conditions, now),
    )
    return StockPipelineStatus(
        observed_generation=pipeline.generation,
        conditions=conditions(found_conditions, pipeline.generation, before.conditions, now),
        symbols=len(pipeline.resource["spec"]["universe"].get("symbols", ())),
        ticks_per_second=feed.ticks_per_second,
        components=components,
        release=release,
        good_digest=good,
        endpoints=before.endpoints,
        failed_rollout=failed,
        plan=plan,
    )


def _wanted(work: Work) -> tuple[str, ...]:
    """Digests of what is worked towards, and of what waits to be accepted."""
    return tuple(one.digest for one in (work.pipeline, work.held) if one is not None)


def ready_condition(status: StockPipelineStatus) -> Condition | None:
    """The condition that sums up."""
    return next((one for one in status.conditions if one.type == ConditionType.READY), None)


def write(client: KubeClient, pipeline: Pipeline, status: StockPipelineStatus) -> Object | None:
    """Write the status if it differs from the one that the resource has; return the resource if it did.

    Raises:
        Conflict: the resource has changed since it was read; the next pass sees the change.
    """
    if status == pipeline.reported:
        return None
    wire: Object = status.to_wire()
    # A merge patch keeps what it does not mention.
    for name in ("ticksPerSecond", "release", "goodDigest", "endpoints", "failedRollout", "plan"):
        wire.setdefault(name, None)
    metadata = {"resourceVersion": pipeline.resource["metadata"]["resourceVersion"]}
    path = STOCK_PIPELINE.path(pipeline.namespace, pipeline.name, "status")
    return client.merge(path, {"metadata": metadata, "status": wire})
