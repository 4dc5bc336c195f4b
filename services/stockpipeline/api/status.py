"""The `status` of a StockPipeline: what the operator reports.

Conditions follow the Kubernetes convention: `Ready` sums up, `Reconciling` is true while the operator is on
its way to the desired state, `Stalled` is true when it cannot get there without the user.
"""

import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Unique


class ConditionType(StrEnum):
    """Types of conditions."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    DRIFTED = "Drifted"
    UPGRADE_AVAILABLE = "UpgradeAvailable"
    DATA_FRESH = "DataFresh"
    SOURCES_HEALTHY = "SourcesHealthy"
    REPLICAS_FRESH = "ReplicasFresh"
    BATCH_SUCCEEDED = "BatchSucceeded"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One aspect of the pipeline's state, in the form that `kubectl wait` understands."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """Name of the condition, such as Ready."""

    status: ConditionStatus
    """Whether the condition holds: True, False or Unknown."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, as one CamelCase word for programs."""

    message: Annotated[str, Field(max_length=32768)]
    """Why, as a sentence for people, with what to do about it."""

    last_transition_time: datetime.datetime
    """When the status last changed from one value to another."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that the condition was found for."""


class Component(ApiModel):
    """One workload of the pipeline."""

    name: str
    """Name of the component: producer, detector, store or replica."""

    kind: str
    """Kind of the Kubernetes object that runs it."""

    ready: int
    """Replicas that are ready."""

    desired: int
    """Replicas that should be ready."""


class Release(ApiModel):
    """The Helm release that the pipeline became."""

    name: str
    """Name of the release in the pipeline's namespace, as `helm list` shows it."""

    revision: int
    """Revision of the release that is deployed."""

    digest: str
    """Digest of the chart and the values that the revision was made from."""


class FailedRollout(ApiModel):
    """A revision that did not become ready, until its spec changes or a later attempt succeeds."""

    digest: str
    """Digest of the revision that failed."""

    revision: int
    """Revision that failed."""

    message: str
    """What kept it from becoming ready."""

    attempts: int
    """How often this digest has failed."""

    retry_at: datetime.datetime
    """When the same is tried again; a change of the spec is tried at once."""


class Endpoints(ApiModel):
    """Where the pipeline has made something outside Kubernetes, also if the spec names other places now."""

    kafka: tuple[str, ...] = Field(default_factory=tuple)
    """Bootstrap servers of the Kafka clusters that have topics of the pipeline."""

    redis: tuple[str, ...] = Field(default_factory=tuple)
    """URLs of the Redis servers that have keys of the pipeline."""


class PlanReason(StrEnum):
    """What a plan waits for."""

    MODE = "Mode"
    WINDOW = "Window"
    UPGRADE = "Upgrade"


class PlannedAction(StrEnum):
    """What becomes of an object."""

    CREATE = "Create"
    CHANGE = "Change"
    DELETE = "Delete"


class PlannedChange(ApiModel):
    """One object that would be made, changed or deleted."""

    action: PlannedAction
    """Create, Change or Delete."""

    kind: str
    """Kind of the object; Topic for a topic in Kafka."""

    name: str
    """Name of the object."""

    fields: tuple[str, ...] = ()
    """Fields that would change, as paths; their values are not shown, for they may be secret."""

    more_fields: int = 0
    """How many more fields would change."""

    restarts: bool = False
    """Whether its pods would be started anew."""


class Plan(ApiModel):
    """What would change, and waits."""

    digest: str
    """What identifies the plan; the value of the annotation stockpipeline.dev/approve that approves it."""

    reason: PlanReason
    """Mode: spec.mode is Plan. Window: the exchange is open. Upgrade: the operator brings a newer chart or
    image."""

    changes: tuple[PlannedChange, ...] = ()
    """Objects that would be made, changed or deleted, as the API server answers to a dry run."""

    more_changes: int = 0
    """How many more objects would change."""


class StockPipelineStatus(ApiModel):
    """What the operator found and did."""

    observed_generation: int | None = None
    """Generation of the spec that this status describes."""

    conditions: Annotated[tuple[Condition, ...], Unique("type")] = Field(default_factory=tuple)
    """Ready, Reconciling, Stalled, Drifted, UpgradeAvailable and, where they apply, DataFresh,
    SourcesHealthy, ReplicasFresh and BatchSucceeded; each with a reason and a sentence."""

    symbols: int | None = None
    """How many symbols the pipeline follows."""

    ticks_per_second: str | None = None
    """How many ticks come in a second, in steps of ten such as 10-100: a figure would change all the time."""

    components: Annotated[tuple[Component, ...], Unique("name")] = Field(default_factory=tuple)
    """The pipeline's workloads and how many of their replicas are ready."""

    release: Release | None = None
    """The Helm release that the pipeline became."""

    good_digest: str | None = None
    """Digest of the last revision of which every workload was ready: what a failed rollout goes back to."""

    endpoints: Endpoints | None = None
    """What a deletion has to clean up outside Kubernetes."""

    failed_rollout: FailedRollout | None = None
    """The newest rollout, where it failed."""

    plan: Plan | None = None
    """What would change, and waits for approval or for the exchange's close."""
