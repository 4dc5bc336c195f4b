"""Reads and changes Helm releases in-process. Errors of the SDK become `HelmFailure` with its text."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import helm_python

from stockpipeline.api import GROUP
from stockpipeline_operator.helm import storage
from stockpipeline_operator.helm.chart import PipelineChart, Values
from stockpipeline_operator.helm.config_cache import ConfigCache
from stockpipeline_operator.kube.client import KubeClient, NotFound, Object
from stockpipeline_operator.kube.resources import SECRET
from stockpipeline_operator.reconcile.state import Release, ReleaseStatus

DIGEST_LABEL = f"{GROUP}/digest"
BASE_LABEL = f"{GROUP}/base"
GENERATION_LABEL = f"{GROUP}/generation"
MAX_HISTORY = 5
_QPS, _BURST = 100.0, 200
_WAIT_SECONDS = 60
_MAX_CONFIGS = 8
Observer = Callable[[str, str], None]


class HelmFailure(Exception):
    """Helm could not do what it was asked; the text is Helm's."""

    reason = "HelmFailed"


class FieldConflict(HelmFailure):
    """An upgrade would change fields that someone else has set on the live objects."""


@cache
def field_manager() -> str:
    """The name under which Helm owns fields in server-side apply: it takes the program's (argv[0])."""
    return Path(sys.orig_argv[0]).name


@dataclass(frozen=True)
class Ingredients:
    """What a revision of a release is made of."""

    namespace: str
    name: str
    chart: PipelineChart
    values: Values
    digest: str
    """Of chart and values."""
    base: str
    """Digest of what the operator brought to it."""
    generation: int
    """Generation of the spec that it is for."""

    @property
    def labels(self) -> dict[str, str]:
        """What can be read of the revision without decoding it."""
        generation = str(self.generation)
        return {DIGEST_LABEL: self.digest, BASE_LABEL: self.base, GENERATION_LABEL: generation}


class HelmReleases:
    """The releases of the pipelines' charts.

    They are changed by the SDK, and looked at without it: the labels of the Secrets in which Helm keeps them
    say all that a decision needs, so that an unchanged release costs one small request and no decoding.
    The SDK allows concurrent work on different releases; the caller works on one release in one thread at a
    time.
    """

    def __init__(
        self,
        client: KubeClient,
        count: Observer,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._count = count
        self._before_write = before_write
        self._configs = ConfigCache(_new_config, _MAX_CONFIGS)

    def history(self, namespace: str, name: str) -> tuple[Release, ...]:
        """The revisions that are kept, oldest first, whatever their status."""
        secrets = self._client.list(SECRET.path(namespace), storage.selector(name), metadata_only=True)
        return tuple(sorted(map(_revision, secrets), key=lambda release: release.revision))

    def manifest(self, namespace: str, release: Release) -> str:
        """The objects of a revision, as YAML documents; raises what `stored` does."""
        return str(self.stored(namespace, release)["manifest"])

    def stored(self, namespace: str, release: Release) -> Object:
        """All that Helm keeps of a revision: chart, values (as `config`), manifest.

        Raises:
            NotFound: the revision is not kept any more.
        """
        path = SECRET.path(namespace, storage.secret_name(release.name, release.revision))
        secret = self._client.get(path)
        if secret is None:
            raise NotFound(404, f"revision {release.revision} of the release {release.name} is gone")
        return storage.decode(secret["data"]["release"])

    def install(self, made_of: Ingredients) -> int:
        """Make the first revision, and return its number. Does not wait for the workloads."""
        with self._changing(made_of.namespace, "install") as config:
            made = config.install(
                made_of.chart.handle, made_of.name, dict(made_of.values), labels=made_of.labels
            )
        return int(made["revision"])

    def upgrade(self, made_of: Ingredients) -> int:
        """Make the next revision, and return its number. Does not wait for the workloads.

        Raises:
            FieldConflict: fields of live objects belong to someone else; `KubeClient.apply` takes them back.
        """
        with self._changing(made_of.namespace, "upgrade") as config:
            made = config.upgrade(
                made_of.chart.handle,
                made_of.name,
                dict(made_of.values),
                labels=made_of.labels,
                max_history=MAX_HISTORY,
                reset_values=True,
            )
        return int(made["revision"])

    def roll_back(self, namespace: str, good: Release) -> None:
        """Make the next revision from an earlier one. Does not wait for the workloads.

        Raises:
            FieldConflict: as `upgrade` does.
        """
        with self._changing(namespace, "rollback") as config:
            config.rollback(good.name, version=good.revision)
        # Helm prunes the history when it upgrades, but not now.
        for old in self.history(namespace, good.name)[:-MAX_HISTORY]:
            path = SECRET.path(namespace, storage.secret_name(old.name, old.revision))
            self._client.delete(path)

    def uninstall(self, namespace: str, name: str) -> None:
        """Remove the release with its objects and history; fine if it is gone already."""
        with self._changing(namespace, "uninstall") as config:
            config.uninstall(name, ignore_not_found=True, timeout=_WAIT_SECONDS)

    @contextmanager
    def _changing(self, namespace: str, operation: str) -> Iterator[helm_python.Config]:
        self._before_write()
        try:
            with _failures(), self._configs.use(namespace) as config:
                yield config
        except Exception:
            self._count(operation, "error")
            raise
        self._count(operation, "success")


def _new_config(namespace: str) -> helm_python.Config:
    return helm_python.Config(namespace=namespace, qps=_QPS, burst_limit=_BURST)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except helm_python.HelmError as error:
        # The SDK has no code for it: the text comes from the API server's 409 on an apply.
        kind = FieldConflict if "conflict occurred while applying" in str(error) else HelmFailure
        raise kind(str(error)) from error


def _revision(secret: Object) -> Release:
    labels = secret["metadata"]["labels"]
    return Release(
        name=labels["name"],
        revision=int(labels["version"]),
        status=ReleaseStatus(labels["status"]),
        digest=labels.get(DIGEST_LABEL, ""),
        uid=secret["metadata"]["uid"],
        base=labels.get(BASE_LABEL, ""),
        generation=int(labels.get(GENERATION_LABEL, 0)),
        made_at=secret["metadata"]["creationTimestamp"],
    )
