"""The condition DataFresh, from what the probe knows."""

from collections.abc import Iterable

from stockpipeline.api import Condition, ConditionType
from stockpipeline_operator.freshness.probe import FreshnessProbe
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Finding, kept


def data_fresh(
    probe: FreshnessProbe, pipeline: Pipeline, observed: Observed | None, previous: Iterable[Condition]
) -> Finding | None:
    """Whether the newest tick is as new as it should be; None where nothing runs, or nothing is known yet."""
    before = kept(ConditionType.DATA_FRESH, previous)
    if observed is None or pipeline.config is None:
        return before
    if not any(one.desired for one in observed.workloads):
        probe.forget(pipeline.key)
        return None
    found = probe.follow(pipeline.key, pipeline.config.spec)
    if found is None:
        return before
    return Finding(ConditionType.DATA_FRESH, found.fresh, found.reason, found.message)
