"""What is wanted and what was found, as plain values: the input of `decide`."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class ReleaseStatus(StrEnum):
    """Helm's status of a release's newest revision (helm.sh/helm/v4/pkg/release/common/status.go)."""

    UNKNOWN = "unknown"
    DEPLOYED = "deployed"
    UNINSTALLED = "uninstalled"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    UNINSTALLING = "uninstalling"
    PENDING_INSTALL = "pending-install"
    PENDING_UPGRADE = "pending-upgrade"
    PENDING_ROLLBACK = "pending-rollback"

    @property
    def pending(self) -> bool:
        """Whether Helm says that somebody is at work on the release, and refuses all others."""
        return self.value.startswith("pending-")


@dataclass(frozen=True)
class Release:
    """The newest revision of a Helm release; `digest` is empty where the operator did not make it."""

    name: str
    revision: int
    status: ReleaseStatus
    digest: str
    uid: str = ""
    """Of the Secret that holds the revision: no other revision ever has it."""
    made_at: str = ""
    """When that Secret was made, in the API's notation."""
    base: str = ""
    """Digest of what the operator brought to it; empty where that was not kept."""
    generation: int = 0
    """Generation of the spec that it was made for."""

    @property
    def ours(self) -> bool:
        """Whether the operator made it, and not somebody who took the same name."""
        return self.digest != ""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a spec: a CamelCase reason and a sentence that says what to change."""

    reason: str
    message: str


@dataclass(frozen=True)
class Desired:
    """What the resource asks for."""

    digest: str
    """Digest of the chart and the values that the spec gives; empty when the spec has problems."""
    problems: tuple[Problem, ...] = ()
    suspended: bool = False
    has_finalizer: bool = True
    endpoints_recorded: bool = True
    """Whether the status names the Kafka and the Redis of the spec among those that a deletion cleans up."""
    deleting: bool = False
    failed: tuple[str, int] = ("", 0)
    """Digest and number of the revision that failed last."""
    retry_due: bool = False
    """Whether what failed may be tried again."""
    deadline_passed: bool = False
    """Whether the deletion takes so long that nothing is waited for any more."""
    give_up: bool = False
    """Whether its deadline has passed and it was tried in vain: what cannot be reached is left behind."""
    planned: bool = False
    """Whether changes wait for approval."""
    approved: str = ""
    """Digest of the plan that is approved."""
    session_closes: datetime.datetime | None = None
    """When the exchange closes, where restarts wait for it and it is open."""
    retained: bool = False
    """Whether topics and keys stay when the resource is deleted."""


@dataclass(frozen=True)
class Topics:
    """The pipeline's Kafka topics: what is missing or different, or why that is not known."""

    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    """Topics with another number of partitions than the spec, each as a sentence."""
    unreachable: str | None = None
    """Why Kafka does not answer, with its address."""


class Cleanup(StrEnum):
    """What a deletion has to remove, each by itself."""

    RELEASE = "Helm release"
    KAFKA = "Kafka topics"
    REDIS = "Redis keys"


@dataclass(frozen=True)
class ObjectRef:
    """An object of the release, in the pipeline's namespace."""

    kind: str
    name: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """The reference to an object."""
        return cls(body["kind"], body["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Drift:
    """An object that is not as the deployed release has it."""

    ref: ObjectRef
    fields: tuple[tuple[str, ...], ...] = ()
    """The fields that somebody changed (paths of `ownership`); none: the whole object is gone."""
    what: str = "is gone"
    """What happened to it, for people: `spec.replicas is changed by kubectl`."""


@dataclass(frozen=True)
class Contest:
    """An object that somebody changes again and again, and that is left alone for a while."""

    what: str
    again_in_seconds: float


@dataclass(frozen=True)
class Workload:
    """A Deployment of the pipeline and how far its rollout is."""

    component: str
    name: str
    desired: int
    ready: int
    current: bool
    """Whether the controller has seen the newest version and all replicas run it."""
    stuck_since: str | None = None
    """When Kubernetes gave up on the newest version: it did not become ready within its progress deadline."""
    after: tuple[str, ...] = ()
    """The components that it needs, of those that come before it."""

    @property
    def done(self) -> bool:
        """Whether everything that should run is ready, in its newest version."""
        return self.current and self.ready >= self.desired


@dataclass(frozen=True)
class Observed:
    """What was found in the cluster, in Kafka, and done so far in this pass."""

    release: Release | None = None
    topics: Topics = Topics()
    drifts: tuple[Drift, ...] = ()
    """What is to be put right now."""
    contests: tuple[Contest, ...] = ()
    """What is left alone for a while."""
    locked: bool = False
    """Whether the release is pending, and that may be because another process is at work on it just now."""
    restarts: bool = False
    """Whether what is desired and not deployed yet would start pods anew; only looked at where it matters."""
    failure: str | None = None
    """Why the newest revision counts as failed: nothing that happens by itself will make it ready."""
    good: Release | None = None
    """The revision to which a failed one can go back, where it is still in the history."""
    workloads: tuple[Workload, ...] = ()
    pods_left: int = 0
    """Only looked at during deletion."""
    unseen: str = ""
    """Why a deletion could not see what is left, where it goes on all the same: its deadline has passed."""
    cleaned: frozenset[Cleanup] = frozenset()
    """What this deletion has removed, or given up after its deadline."""
