"""One pipeline as a pass sees it: the resource, and what follows from it without asking anybody."""

import datetime
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import ValidationError

from stockpipeline.api import (
    FINALIZER,
    PipelineConfig,
    PipelineNames,
    StockPipelineSpec,
    StockPipelineStatus,
    resolve,
)
from stockpipeline_operator.helm.chart import PipelineChart, Values
from stockpipeline_operator.kube.client import Object
from stockpipeline_operator.reconcile.problems import find_problems
from stockpipeline_operator.reconcile.state import Desired, Problem
from stockpipeline_operator.settings import Settings


@dataclass(frozen=True)
class Pipeline:
    """A StockPipeline resource with its release's values; these are empty where the spec has problems."""

    resource: Object
    kafka: str
    redis: str
    problems: tuple[Problem, ...]
    config: PipelineConfig | None
    values: Values
    digest: str

    @classmethod
    def of(cls, resource: Object, settings: Settings, chart: PipelineChart) -> Self:
        """Check the resource's spec and compute the values that its release should have."""
        raw = resource["spec"]
        kafka = raw.get("kafka", {}).get("bootstrapServers") or settings.kafka_bootstrap_servers
        redis = raw.get("redis", {}).get("url") or settings.redis_url
        config: PipelineConfig | None = None
        values: Values = {}
        try:
            config = _config(resource, kafka, redis)
        except ValidationError as error:
            problems: tuple[Problem, ...] = (Problem("InvalidSpec", _sentences(error)),)
        else:
            problems = find_problems(config.spec)
            if not problems:
                values = release_values(config, resource["metadata"]["uid"], settings)
        digest = chart.digest(values) if values else ""
        return cls(resource, kafka, redis, problems, config, values, digest)

    @property
    def namespace(self) -> str:
        """Namespace of the resource, and of all that it owns."""
        return str(self.resource["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Name of the resource and of its release."""
        return str(self.resource["metadata"]["name"])

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def generation(self) -> int:
        """Generation of the spec."""
        return int(self.resource["metadata"]["generation"])

    @property
    def names(self) -> PipelineNames:
        """Topics, consumer group and Redis keys."""
        return PipelineNames(self.namespace, self.name)

    @property
    def deleting(self) -> bool:
        """Whether somebody has deleted the resource."""
        return "deletionTimestamp" in self.resource["metadata"]

    @property
    def reported(self) -> StockPipelineStatus:
        """The status that the resource has; empty where it has none, or one that another version wrote."""
        try:
            return StockPipelineStatus.model_validate(self.resource.get("status", {}))
        except ValidationError:
            return StockPipelineStatus()

    def with_resource(self, resource: Object) -> Self:
        """The same pipeline after the operator changed the resource's metadata or status."""
        return replace(self, resource=resource)

    def desired(self, now: datetime.datetime, deletion_deadline_seconds: float) -> Desired:
        """What the resource asks for, as `decide` takes it."""
        metadata = self.resource["metadata"]
        passed = False
        if self.deleting:
            since = datetime.datetime.fromisoformat(metadata["deletionTimestamp"])
            passed = (now - since).total_seconds() > deletion_deadline_seconds
        reported = self.reported
        failed = reported.failed_rollout
        return Desired(
            digest=self.digest,
            problems=self.problems,
            suspended=self.config is not None and self.config.spec.suspend,
            has_finalizer=FINALIZER in metadata.get("finalizers", ()),
            endpoints_recorded=(
                reported.endpoints is not None
                and self.kafka in reported.endpoints.kafka
                and self.redis in reported.endpoints.redis
            ),
            deleting=self.deleting,
            failed=(failed.digest, failed.revision) if failed is not None else ("", 0),
            retry_due=failed is not None and now >= failed.retry_at,
            deadline_passed=passed,
        )


def release_values(config: PipelineConfig, uid: str, settings: Settings) -> Values:
    """The values of the chart `stockpipeline`; see its values.yaml."""
    return {
        "config": config.to_json(),
        "suspend": config.spec.suspend,
        "owner": {"name": config.name, "uid": uid},
        "image": {
            "repository": settings.services_repository,
            "tag": settings.services_tag,
            "pullPolicy": settings.services_pull_policy,
        },
    }


def _config(resource: Object, kafka: str, redis: str) -> PipelineConfig:
    metadata: dict[str, Any] = resource["metadata"]
    spec = StockPipelineSpec.model_validate(resource["spec"])
    return resolve(
        metadata["namespace"],
        metadata["name"],
        spec,
        default_bootstrap_servers=kafka,
        default_redis_url=redis,
    )


def _sentences(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc']) or 'spec'}: {one['msg']}" for one in error.errors()
    )
