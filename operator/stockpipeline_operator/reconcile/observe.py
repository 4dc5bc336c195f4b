"""Looks at what a pipeline has become in Kubernetes and Kafka."""

from dataclasses import dataclass, replace
from functools import lru_cache

from stockpipeline.api import PIPELINE_LABEL
from stockpipeline_operator.helm.chart import parse_manifest
from stockpipeline_operator.helm.releases import HelmFailure, HelmReleases
from stockpipeline_operator.kafka_topics import KafkaTopics, KafkaUnreachable
from stockpipeline_operator.kube.client import ApiError, KubeClient, Object
from stockpipeline_operator.kube.resources import DEPLOYMENT, OWNED, POD, ResourceType, pipeline_selector
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import (
    Cleanup,
    ObjectRef,
    Observed,
    Release,
    ReleaseStatus,
    Topics,
    Workload,
)

_TYPES = {resource.kind: resource for resource in OWNED}
_COMPONENT_LABEL = "app.kubernetes.io/component"


@dataclass(frozen=True)
class Observer:
    """Reads; changes nothing."""

    client: KubeClient
    releases: HelmReleases
    kafka: KafkaTopics

    def observe(self, pipeline: Pipeline, cleaned: frozenset[Cleanup], *, give_up: bool) -> Observed:
        """What is there now. `cleaned` is what this pass has removed already.

        With `give_up` (a deletion's deadline has passed), what cannot be looked at counts as gone.
        """
        if pipeline.deleting:
            try:
                return self._remains(pipeline, cleaned)
            except (ApiError, HelmFailure):
                if not give_up:
                    raise
                return Observed(cleaned=cleaned)
        release = self.releases.read(pipeline.namespace, pipeline.name)
        owned = self._owned(pipeline, release)
        return replace(owned, release=release, topics=self._topics(pipeline))

    def pods(self, pipeline: Pipeline) -> list[Object]:
        """The pipeline's pods, also those that are ending."""
        return list(self.client.list(POD.path(pipeline.namespace), pipeline_selector(pipeline.name)))

    def _remains(self, pipeline: Pipeline, cleaned: frozenset[Cleanup]) -> Observed:
        release = self.releases.read(pipeline.namespace, pipeline.name)
        return Observed(release=release, pods_left=len(self.pods(pipeline)), cleaned=cleaned)

    def _owned(self, pipeline: Pipeline, release: Release | None) -> Observed:
        if release is None or release.status is not ReleaseStatus.DEPLOYED:
            return Observed()
        missing, rescaled, workloads = [], [], []
        for ref, desired in manifest_refs(release.manifest):
            found = self.client.get(resource_type(ref).path(pipeline.namespace, ref.name))
            if found is None or found["metadata"].get("labels", {}).get(PIPELINE_LABEL) != pipeline.name:
                missing.append(ref)
            elif ref.kind == DEPLOYMENT.kind:
                workloads.append(workload(found, desired))
                if replicas(found) != desired:
                    rescaled.append(ref)
        return Observed(missing=tuple(missing), rescaled=tuple(rescaled), workloads=tuple(workloads))

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


def resource_type(ref: ObjectRef) -> ResourceType:
    """The API's address of an object that the chart made."""
    return _TYPES[ref.kind]


@lru_cache(maxsize=1024)
def manifest_refs(manifest: str) -> tuple[tuple[ObjectRef, int], ...]:
    """The objects in a release's manifest, with the replicas that they should have (0: not a Deployment)."""
    return tuple(
        (
            ObjectRef(found["kind"], found["metadata"]["name"]),
            replicas(found) if found["kind"] == DEPLOYMENT.kind else 0,
        )
        for found in parse_manifest(manifest)
    )


def replicas(deployment: Object) -> int:
    """The replicas that a Deployment asks for; Kubernetes' default is one."""
    return int(deployment["spec"].get("replicas", 1))


def workload(deployment: Object, desired: int) -> Workload:
    """How far a Deployment is, from its status (written by Kubernetes' Deployment controller).

    `desired` is the release's number of replicas: a live one that somebody scaled to zero is not ready.
    """
    status = deployment.get("status", {})
    current = (
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) >= desired
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    )
    return Workload(
        component=deployment["metadata"]["labels"][_COMPONENT_LABEL],
        name=deployment["metadata"]["name"],
        desired=desired,
        ready=int(status.get("readyReplicas", 0)),
        current=current,
    )
