"""Looks at the Helm releases of pipelines and changes them. What goes wrong is a `HelmFailure`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import helm_python

from stockpipeline_operator.helm import storage
from stockpipeline_operator.helm.changes import FIELD_MANAGER, FieldsTaken, ReleaseChanges
from stockpipeline_operator.helm.ingredients import (
    BASE_LABEL,
    DIGEST_LABEL,
    GENERATION_LABEL,
    Ingredients,
    labels_of,
)
from stockpipeline_operator.kube.client import ApiError, KubeClient, NotFound, Object
from stockpipeline_operator.kube.resources import SECRET
from stockpipeline_operator.reconcile.state import Release, ReleaseStatus

__all__ = ["FieldConflict", "HelmFailure", "HelmReleases", "field_manager"]

Observer = Callable[[str, str], None]


class HelmFailure(Exception):
    """A release could not be rendered or changed; the text is Helm's or the API server's."""

    reason = "HelmFailed"


class FieldConflict(HelmFailure):
    """An upgrade would change fields that someone else has set on the live objects."""


def field_manager() -> str:
    """The name under which releases own fields in server-side apply."""
    return FIELD_MANAGER


class HelmReleases:
    """The releases of the pipelines' charts.

    They are looked at by the labels of the Secrets in which Helm keeps them, which say all that a decision
    needs: an unchanged release costs one small request and no decoding. Different releases may be worked on
    at once; the caller works on one release in one thread at a time.
    """

    def __init__(self, client: KubeClient, count: Observer) -> None:
        self._client = client
        self._changes = ReleaseChanges(client)
        self._count = count

    def history(self, namespace: str, name: str) -> tuple[Release, ...]:
        """The revisions that are kept, oldest first, whatever their status."""
        secrets = self._client.list(SECRET.path(namespace), storage.selector(name), metadata_only=True)
        return _in_order(map(_revision, secrets))

    def histories(self, namespace: str) -> dict[str, tuple[Release, ...]]:
        """The same of every release in the namespace, by name; without those that cannot be read."""
        found: defaultdict[str, list[Object]] = defaultdict(list)
        for secret in self._client.list(SECRET.path(namespace), storage.SELECTOR, metadata_only=True):
            found[secret["metadata"]["labels"].get("name", "")].append(secret)
        histories = {}
        for name, secrets in found.items():
            with suppress(KeyError, ValueError):  # somebody's own idea of a release
                histories[name] = _in_order(map(_revision, secrets))
        return histories

    def manifest(self, namespace: str, release: Release) -> str:
        """The objects of a revision, as YAML documents; raises what `stored` does."""
        known = self._changes.recent_manifest(release.uid)
        if known is not None:
            return known
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
        with self._changing("install"):
            return self._changes.install(made_of)

    def upgrade(self, made_of: Ingredients, good: Release | None) -> int:
        """Make the next revision, and return its number. Does not wait for the workloads.

        The good revision stays in the history, to go back to it.

        Raises:
            FieldConflict: fields of live objects belong to someone else; `KubeClient.apply` takes them back.
        """
        with self._changing("upgrade"):
            return self._changes.upgrade(made_of, None if good is None else good.revision)

    def roll_back(self, namespace: str, good: Release) -> int:
        """Make the next revision from an earlier one, and return its number. Does not wait for the workloads.

        Raises:
            FieldConflict: as `upgrade` does.
        """
        labels = labels_of(good.digest, good.base, good.generation)
        with self._changing("rollback"):
            return self._changes.roll_back(namespace, good.name, good.revision, labels)

    def uninstall(self, namespace: str, name: str) -> None:
        """Remove the release with its objects and history; fine if it is gone already."""
        with self._changing("uninstall"):
            self._changes.uninstall(namespace, name)

    @contextmanager
    def _changing(self, operation: str) -> Iterator[None]:
        try:
            with _failures():
                yield
        except Exception:
            self._count(operation, "error")
            raise
        self._count(operation, "success")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except FieldsTaken as error:
        raise FieldConflict(str(error)) from error
    except (ApiError, helm_python.HelmError) as error:
        raise HelmFailure(str(error)) from error


def _in_order(revisions: Iterable[Release]) -> tuple[Release, ...]:
    return tuple(sorted(revisions, key=lambda release: release.revision))


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
