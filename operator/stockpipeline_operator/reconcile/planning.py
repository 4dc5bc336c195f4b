"""Finds out what a revision would change, by asking the API server for a dry run of every object."""

from dataclasses import dataclass

from stockpipeline.api import Plan, PlannedAction, PlannedChange, PlanReason
from stockpipeline_operator.helm.releases import field_manager
from stockpipeline_operator.kube.client import KubeClient
from stockpipeline_operator.kube.resources import owned_type
from stockpipeline_operator.reconcile.adopt import marked
from stockpipeline_operator.reconcile.changes import change, plan_digest
from stockpipeline_operator.reconcile.contents import Revisions
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import ObjectRef, Observed

_MOST_CHANGES = 40
_TOPIC = "Topic"


@dataclass(frozen=True)
class Planner:
    """Reads; changes nothing."""

    client: KubeClient
    revisions: Revisions

    def plan(self, pipeline: Pipeline, observed: Observed, reason: PlanReason) -> Plan:
        """The plan from what is deployed to what `pipeline` asks for.

        The API server is not asked again for the plan that the status has.
        """
        digest = plan_digest(observed.release, pipeline.digest)
        known = pipeline.reported.plan
        if known is not None and known.digest == digest and _holds(known, observed):
            return known.model_copy(update={"reason": reason})
        changes = (*_topics(observed), *self._changes(pipeline, observed))
        return Plan(
            digest=digest,
            reason=reason,
            changes=changes[:_MOST_CHANGES],
            more_changes=max(0, len(changes) - _MOST_CHANGES),
        )

    def _changes(self, pipeline: Pipeline, observed: Observed) -> tuple[PlannedChange, ...]:
        found, stays = [], set()
        for each in pipeline.base.chart.render(pipeline.values, pipeline.name, pipeline.namespace):
            wanted = marked(each, pipeline.namespace, pipeline.name)
            ref = ObjectRef.of(wanted)
            stays.add(ref)
            path = owned_type(ref.kind).path(pipeline.namespace, ref.name)
            live = self.client.get(path)
            answer = self.client.apply(path, wanted, field_manager(), dry_run=True)
            if (one := change(live, answer)) is not None:
                found.append(one)
        if observed.release is not None:
            parts = self.revisions.contents(pipeline.namespace, observed.release).parts
            found += [
                PlannedChange(action=PlannedAction.DELETE, kind=part.ref.kind, name=part.ref.name)
                for part in parts
                if part.ref not in stays
            ]
        return tuple(found)


def _holds(plan: Plan, observed: Observed) -> bool:
    """Whether a plan still has the topics that are missing. Kafka may be away: then nobody knows better."""
    planned = tuple(one for one in plan.changes if one.kind == _TOPIC)
    return observed.topics.unreachable is not None or planned == _topics(observed)


def _topics(observed: Observed) -> tuple[PlannedChange, ...]:
    """The topics that would be made, as far as Kafka answers."""
    return tuple(
        PlannedChange(action=PlannedAction.CREATE, kind=_TOPIC, name=name) for name in observed.topics.missing
    )
