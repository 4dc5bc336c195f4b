"""Looks at what a pipeline has become in Kubernetes and Kafka."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from stockpipeline_operator.helm.releases import HelmFailure, HelmReleases, field_manager
from stockpipeline_operator.kafka_topics import KafkaTopics, KafkaUnreachable
from stockpipeline_operator.kube.client import ApiError, KubeClient, Object
from stockpipeline_operator.kube.resources import OWNED, POD, owned_type, pipeline_selector
from stockpipeline_operator.reconcile import pod_troubles
from stockpipeline_operator.reconcile.adopt import marked
from stockpipeline_operator.reconcile.attempts import Attempts
from stockpipeline_operator.reconcile.contents import Contents, Part, Revisions
from stockpipeline_operator.reconcile.corrections import Corrections
from stockpipeline_operator.reconcile.inventory import Inventory
from stockpipeline_operator.reconcile.ownership import Path, describe, lost_fields, owned_fields, owners
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.pod_troubles import progress
from stockpipeline_operator.reconcile.state import (
    Cleanup,
    Contest,
    Drift,
    ObjectRef,
    Observed,
    Release,
    ReleaseStatus,
    Topics,
    Workload,
)

_MOST_FIELDS_NAMED = 5
_LISTED = frozenset(resource.kind for resource in OWNED)
# An object of the pipeline as it was listed, or None.
Listed = Callable[[ObjectRef], Object | None]


@dataclass(frozen=True)
class Observer:
    """Reads; changes nothing."""

    client: KubeClient
    releases: HelmReleases
    kafka: KafkaTopics
    inventory: Inventory
    revisions: Revisions
    corrections: Corrections
    attempts: Attempts

    def observe(self, pipeline: Pipeline, cleaned: frozenset[Cleanup], *, give_up: bool) -> Observed:
        """What is there now. `cleaned` is what this pass has removed already.

        With `give_up` (a deletion was tried in vain for too long), what cannot be looked at counts as gone.
        """
        if pipeline.deleting:
            try:
                return self._remains(pipeline, cleaned)
            except (ApiError, HelmFailure) as error:
                if not give_up:
                    raise
                return Observed(unseen=str(error), cleaned=cleaned)
        listed = self.inventory.take(pipeline.key)
        if listed is not None:
            seen = self._observed(pipeline, listed.history, listed.get)
            if _all_is_well(seen):
                return seen
        history = self.releases.history(pipeline.namespace, pipeline.name)
        return self._observed(pipeline, history, None)

    def _observed(self, pipeline: Pipeline, history: Sequence[Release], listed: Listed | None) -> Observed:
        release = history[-1] if history else None
        if release is None:
            return Observed(topics=self._topics(pipeline))
        owned = self._owned(pipeline, release, listed)
        return replace(
            owned,
            release=release,
            topics=self._topics(pipeline),
            locked=release.status.pending and self.attempts.lock_seconds(pipeline.key, release) > 0,
            failure=self._failure(pipeline, release, owned.workloads),
            good=last_good(history, pipeline.reported.good_digest),
        )

    def pods(self, pipeline: Pipeline) -> list[Object]:
        """The pipeline's pods, also those that are ending."""
        return list(self.client.list(POD.path(pipeline.namespace), pipeline_selector(pipeline.name)))

    def _remains(self, pipeline: Pipeline, cleaned: frozenset[Cleanup]) -> Observed:
        history = self.releases.history(pipeline.namespace, pipeline.name)
        release = history[-1] if history else None
        return Observed(release=release, pods_left=len(self.pods(pipeline)), cleaned=cleaned)

    def _failure(self, pipeline: Pipeline, release: Release, workloads: Iterable[Workload]) -> str | None:
        stuck = [one for one in workloads if not one.done and one.stuck_since is not None]
        # A mark that is older than the revision was made for the one before it.
        stuck = [one for one in stuck if str(one.stuck_since) >= release.made_at]
        if not stuck:
            return self.attempts.refusal(pipeline.key, release.digest)
        troubles = pod_troubles.describe(self.pods(pipeline))
        return "; ".join(progress(one, troubles) for one in stuck) + ", and its progress deadline has passed"

    def _owned(self, pipeline: Pipeline, release: Release, listed: Listed | None) -> Observed:
        if not release.ours or release.status is not ReleaseStatus.DEPLOYED:
            return Observed()
        contents = self.revisions.contents(pipeline.namespace, release)
        drifts: list[Drift] = []
        contests: list[Contest] = []
        workloads: list[Workload] = []
        for part in contents.parts:
            if listed is not None and part.ref.kind in _LISTED:
                found = listed(part.ref)
            else:
                path = owned_type(part.ref.kind).path(pipeline.namespace, part.ref.name)
                found = self.client.get(path, metadata_only=not part.workload)
            if found is not None and part.workload:
                workloads.append(workload(found, part))
            drift = self._drift(pipeline, release, contents, part, found)
            if drift is not None:
                contest = self._contest(pipeline, drift)
                if contest is None:
                    drifts.append(drift)
                else:
                    contests.append(contest)
        return Observed(drifts=tuple(drifts), contests=tuple(contests), workloads=tuple(workloads))

    def _drift(
        self, pipeline: Pipeline, release: Release, contents: Contents, part: Part, found: Object | None
    ) -> Drift | None:
        if found is None:
            return Drift(part.ref)
        managed = found["metadata"].get("managedFields", [])
        owned = owned_fields(managed, field_manager())
        if contents.unchanged(part.ref, owned):
            return None
        objects = self.revisions.objects(pipeline.namespace, release)
        wanted = next(one for one in objects if ObjectRef.of(one) == part.ref)
        lost = lost_fields(marked(wanted, pipeline.namespace, pipeline.name), owned)
        lost = tuple(field for field in lost if field not in contents.ownerless(part.ref))
        if not lost:
            contents.as_it_should(part.ref, owned)
            return None
        return Drift(part.ref, lost, describe_edit(lost, managed, field_manager()))

    def _contest(self, pipeline: Pipeline, drift: Drift) -> Contest | None:
        streak = self.corrections.streak(pipeline.key, drift.ref)
        if streak is None or (wait := self.corrections.wait_seconds(streak)) <= 0:
            return None
        what = (
            f"{drift.ref} {drift.what}, again after {streak.count} corrections since "
            f"{streak.since:%H:%M:%S}; left so until {streak.again_at:%H:%M:%S} (UTC)"
        )
        return Contest(what, wait)

    def _topics(self, pipeline: Pipeline) -> Topics:
        if pipeline.config is None or pipeline.config.spec.suspend:
            return Topics()
        try:
            partitions = self.kafka.partitions(pipeline.kafka)
        except KafkaUnreachable as error:
            return Topics(unreachable=str(error))
        return compare_topics(
            tuple(pipeline.names.topics.values()), pipeline.config.spec.kafka.partitions, partitions
        )


def _all_is_well(observed: Observed) -> bool:
    release = observed.release
    return (
        release is not None
        and release.status is ReleaseStatus.DEPLOYED
        and not observed.drifts
        and not observed.contests
        and all(one.done for one in observed.workloads)
    )


def last_good(history: Iterable[Release], digest: str | None) -> Release | None:
    """The newest revision that was made from what ran well, and that Helm can go back to."""
    fit = (ReleaseStatus.DEPLOYED, ReleaseStatus.SUPERSEDED)
    found = [one for one in history if one.ours and one.digest == digest and one.status in fit]
    return found[-1] if found else None


def compare_topics(names: tuple[str, ...], wanted: int, partitions: dict[str, int]) -> Topics:
    """Compare a pipeline's topics with those that the cluster has."""
    return Topics(
        missing=tuple(name for name in names if name not in partitions),
        mismatched=tuple(
            f"topic {name} has {partitions[name]} partitions, but spec.kafka.partitions is {wanted}"
            for name in names
            if partitions.get(name, wanted) != wanted
        ),
    )


def describe_edit(fields: tuple[Path, ...], managed: list[Object], manager: str) -> str:
    """Say which fields were changed, and by whom: `spec.replicas was changed by kubectl`."""
    names = ", ".join(describe(field) for field in fields[:_MOST_FIELDS_NAMED])
    if len(fields) > _MOST_FIELDS_NAMED:
        names += f" and {len(fields) - _MOST_FIELDS_NAMED} more fields"
    editors = sorted({name for field in fields for name in owners(managed, field, manager)})
    return f"{names}: " + (f"changed by {', '.join(editors)}" if editors else "removed")


def workload(found: Object, part: Part) -> Workload:
    """How far a workload is, from its status (written by Kubernetes' controllers).

    The release's number of replicas counts, for a live one that somebody scaled to zero is not ready; only
    where the release leaves the number to an autoscaler, the live one does.
    """
    desired = int(found["spec"].get("replicas", 1)) if part.replicas is None else part.replicas
    status = found.get("status", {})
    seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    current = (
        seen
        and status.get("updatedReplicas", 0) >= desired
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    )
    return Workload(
        component=part.component,
        name=found["metadata"]["name"],
        desired=desired,
        ready=int(status.get("readyReplicas", 0)),
        current=current,
        stuck_since=_stuck_since(status) if seen else None,
        after=part.after,
    )


def _stuck_since(status: Object) -> str | None:
    for condition in status.get("conditions", ()):
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition["lastUpdateTime"])
    return None
