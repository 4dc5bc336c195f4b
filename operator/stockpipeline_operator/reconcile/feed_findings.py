"""The conditions DataFresh and SourcesHealthy, and the rate of ticks, from what the probe knows."""

from dataclasses import dataclass

from stockpipeline.api import ConditionType
from stockpipeline_operator.feed.judgement import Judgement
from stockpipeline_operator.feed.probe import FeedProbe
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed
from stockpipeline_operator.reconcile.verdict import Finding, kept


@dataclass(frozen=True)
class FeedFindings:
    """What to report of a pipeline's feed."""

    conditions: tuple[Finding, ...] = ()
    ticks_per_second: str | None = None


def feed_findings(probe: FeedProbe, pipeline: Pipeline, observed: Observed | None) -> FeedFindings:
    """What is known of the feed. Nothing where nothing runs; where nothing is known yet, what is reported."""
    reported = pipeline.reported
    types = ConditionType.DATA_FRESH, ConditionType.SOURCES_HEALTHY
    before = {type_: kept(type_, reported.conditions) for type_ in types}
    if observed is not None and not any(one.desired for one in observed.workloads):
        probe.forget(pipeline.key)
        return FeedFindings()
    feed = None
    if observed is not None and pipeline.config is not None:
        feed = probe.follow(pipeline.key, pipeline.config.spec)
    if feed is None:
        known = tuple(one for one in before.values() if one is not None)
        return FeedFindings(known, reported.ticks_per_second)
    fresh = _finding(ConditionType.DATA_FRESH, feed.fresh)
    was = before[ConditionType.DATA_FRESH]
    if was is not None and (was.holds, was.reason) == (fresh.holds, fresh.reason):
        fresh = was  # its message tells of when that began
    answers = feed.sources.holds is not None
    return FeedFindings(
        (fresh, _finding(ConditionType.SOURCES_HEALTHY, feed.sources)),
        feed.ticks_per_second or (reported.ticks_per_second if answers else None),
    )


def _finding(type_: ConditionType, judgement: Judgement) -> Finding:
    return Finding(type_, judgement.holds, judgement.reason, judgement.message)
