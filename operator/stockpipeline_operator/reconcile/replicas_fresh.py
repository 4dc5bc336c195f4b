"""The condition ReplicasFresh, from what the probe of the replicas knows."""

from collections.abc import Iterable

from stockpipeline.api import Condition, ConditionType
from stockpipeline_operator.feed.replicas import ReplicaProbe
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Finding, kept


def replicas_fresh(
    probe: ReplicaProbe, pipeline: Pipeline, observed: Observed | None, previous: Iterable[Condition]
) -> tuple[Finding, ...]:
    """Whether every replica is at the store's newest generation; nothing where there are no replicas."""
    known = kept(ConditionType.REPLICAS_FRESH, previous)
    before = (known,) if known is not None else ()
    if observed is None or pipeline.config is None:
        return before
    sync = pipeline.config.spec.replica_sync
    if sync is None or not any(one.desired for one in observed.workloads):
        probe.forget(pipeline.key)
        return ()
    found = probe.follow(pipeline.key, sync)
    if found is None:
        return before
    return (Finding(ConditionType.REPLICAS_FRESH, found.holds, found.reason, found.message),)
