"""One pipeline as a pass sees it: the resource, and what follows from it without asking anybody."""

import datetime
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from pydantic import ValidationError

from stockpipeline.api import (
    APPROVE_ANNOTATION,
    FINALIZER,
    DeletionPolicy,
    Mode,
    PipelineConfig,
    PipelineNames,
    StockPipelineSpec,
    StockPipelineStatus,
    UpgradePolicy,
    Window,
    resolve,
)
from stockpipeline.market.exchange_hours import ExchangeHours
from stockpipeline_operator.helm.chart import Values
from stockpipeline_operator.helm.ingredients import Ingredients
from stockpipeline_operator.kube.client import Object
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.problems import find_problems
from stockpipeline_operator.reconcile.state import Desired, Problem
from stockpipeline_operator.reconcile.values import release_values


@dataclass(frozen=True)
class Pipeline:
    """A StockPipeline resource with its release's values; these are empty where the spec has problems."""

    resource: Object
    base: Base
    kafka: str
    redis: str
    problems: tuple[Problem, ...]
    config: PipelineConfig | None
    values: Values
    digest: str

    @classmethod
    def of(cls, resource: Object, base: Base) -> Self:
        """Check the resource's spec and compute the values that its release should have."""
        raw, settings = resource["spec"], base.settings
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
                values = release_values(config, resource["metadata"]["uid"], base)
        digest = base.chart.digest(values) if values else ""
        return cls(resource, base, kafka, redis, problems, config, values, digest)

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
    def approved(self) -> str:
        """Digest of the plan that somebody approved; empty: none."""
        return str(self.resource["metadata"].get("annotations", {}).get(APPROVE_ANNOTATION, ""))

    @property
    def takes_upgrades(self) -> bool:
        """Whether what a newer operator brings is taken without approval."""
        return self.config is not None and self.config.spec.upgrade_policy is UpgradePolicy.AUTO

    @property
    def ingredients(self) -> Ingredients:
        """What its release is made of."""
        return Ingredients(
            self.namespace,
            self.name,
            self.base.chart,
            self.values,
            self.digest,
            self.base.digest,
            self.generation,
        )

    @cached_property
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
        spec = self.config.spec if self.config is not None else None
        reported = self.reported
        failed = reported.failed_rollout
        return Desired(
            digest=self.digest,
            problems=self.problems,
            suspended=spec is not None and spec.suspend,
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
            planned=spec is not None and spec.mode is Mode.PLAN,
            approved=self.approved,
            session_closes=self._session_closes(now),
            # From the resource itself: it must hold also where the rest of the spec has problems.
            retained=self.resource["spec"].get("deletionPolicy") == DeletionPolicy.RETAIN.value,
        )

    def _session_closes(self, now: datetime.datetime) -> datetime.datetime | None:
        """When the exchange closes, where restarts wait for it and it is open now, by the wall clock."""
        if self.config is None or self.config.spec.rollout.window is Window.ANYTIME:
            return None
        session = ExchangeHours.of(self.config.spec.universe.exchange.value).session_at(now)
        return session.closes if session is not None else None


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
