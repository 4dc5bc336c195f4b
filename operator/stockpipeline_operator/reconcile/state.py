"""What is wanted and what was found, as plain values: the input of `decide`."""

from dataclasses import dataclass
from enum import StrEnum


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
    manifest: str = ""

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
    deleting: bool = False
    deadline_passed: bool = False
    """Whether the deletion has been tried for so long that what cannot be reached is left behind."""


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


@dataclass(frozen=True)
class Workload:
    """A Deployment of the pipeline and how far its rollout is."""

    component: str
    name: str
    desired: int
    ready: int
    current: bool
    """Whether the controller has seen the newest version and all replicas run it."""

    @property
    def done(self) -> bool:
        """Whether everything that should run is ready, in its newest version."""
        return self.current and self.ready >= self.desired


@dataclass(frozen=True)
class Observed:
    """What was found in the cluster, in Kafka, and done so far in this pass."""

    release: Release | None = None
    topics: Topics = Topics()
    missing: tuple[ObjectRef, ...] = ()
    """Objects of the deployed release that do not exist."""
    rescaled: tuple[ObjectRef, ...] = ()
    """Deployments of the deployed release that somebody gave another number of replicas."""
    workloads: tuple[Workload, ...] = ()
    pods_left: int = 0
    """Only looked at during deletion."""
    cleaned: frozenset[Cleanup] = frozenset()
    """What this deletion has removed, or given up after its deadline."""

    @property
    def drifted(self) -> bool:
        """Whether objects differ from the deployed release so that the pipeline does not run."""
        return bool(self.missing or self.rescaled)
