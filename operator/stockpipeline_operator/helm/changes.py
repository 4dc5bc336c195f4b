"""Makes, changes and removes releases: in Helm's format and order, by requests of our own.

Helm's SDK renders the chart. What it would do next cannot be fenced: it sends a dozen requests in a row, and
a process that was paused between two of them would send the rest when it wakes up, whoever leads by then.
Here each request passes the client's fence:

1. the Secret of the new revision is made as `pending-*`; it is there already if somebody else makes it;
2. the objects are applied (server-side), those that others need first;
3. objects that only earlier revisions have are deleted;
4. what was deployed is marked as superseded and the new revision as deployed, each only if unchanged.

A kill in between leaves a `pending-*` revision, which the next pass frees. Besides, it is half the requests.
"""

import datetime
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from stockpipeline_operator.helm import revision, storage
from stockpipeline_operator.helm.chart import parse_manifest
from stockpipeline_operator.helm.ingredients import DIGEST_LABEL, Ingredients
from stockpipeline_operator.kube.client import ApiError, Conflict, KubeClient, NotFound, Object
from stockpipeline_operator.kube.resources import SECRET, owned_type

FIELD_MANAGER = "stockpipeline-operator"
KEEP_ANNOTATION = "helm.sh/resource-policy"
_DEPLOYED = "deployed"
# The pass that made a revision goes on to compare the live objects with it.
_MOST_RECENT = 32


class FieldsTaken(Conflict):
    """Fields that a revision would change belong to somebody else, who has edited the live object."""


class ReleaseChanges:
    """Changes of releases. May be used by many threads, for one release by one at a time."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._recent: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def recent_manifest(self, uid: str) -> str | None:
        """The manifest of the revision in the Secret `uid`, if it was made here lately."""
        with self._lock:
            return self._recent.get(uid)

    def install(self, made_of: Ingredients) -> int:
        """Make the first revision, and return its number. Does not wait for the workloads.

        Objects that an interrupted installation left are taken over.
        """
        self._deploy(_new(made_of), made_of.labels, (), "Install complete")
        return 1

    def upgrade(self, made_of: Ingredients, keep: int | None = None) -> int:
        """Make the next revision, and return its number. Does not wait for the workloads.

        Of the history the newest revisions stay, and `keep`, however old it is.
        """
        return self._supersede(_new(made_of), made_of.labels, "upgrade", "Upgrade complete", keep)

    def roll_back(self, namespace: str, name: str, number: int, labels: dict[str, str]) -> int:
        """Make the next revision from the revision `number`, with its chart and values; return its number.

        Raises:
            ApiError: the revision is not kept any more.
        """
        path = SECRET.path(namespace, storage.secret_name(name, number))
        stored = self._client.get(path)
        if stored is None:
            raise ApiError(404, f"revision {number} of the release {name} is gone")
        release = storage.decode(stored["data"]["release"])
        return self._supersede(release, labels, "rollback", f"Rollback to {number}")

    def uninstall(self, namespace: str, name: str) -> None:
        """Remove the release with its objects and history; fine if it is gone already."""
        history = self._history(namespace, name)
        if not history:
            return
        if _status(history[-1]) != "uninstalled":
            live = _in_effect(history)
            self._mark(live[-1], "uninstalling", "Deletion in progress (or silently failed)")
            for one in reversed(revision.in_install_order(_objects(live))):
                self._delete(one, namespace)
        # The newest goes last: a kill in between leaves one that says what it is.
        for secret in history:
            self._client.delete(_path(secret))

    def _supersede(
        self, release: Object, labels: dict[str, str], operation: str, done: str, keep: int | None = None
    ) -> int:
        history = self._history(release["namespace"], release["name"])
        # What fails again and again must not pile up; the newest of them tells of the same objects.
        for old in _repeated(history):
            self._client.delete(_path(old))
            history.remove(old)
        before = _in_effect(history)
        last = storage.decode(history[-1]["data"]["release"])
        first = last["info"]["first_deployed"]
        made = revision.next_release(release, last["version"] + 1, first, operation, _now())
        self._deploy(made, labels, before, done)
        gone = revision.expendable([_number(one) for one in history], keep)
        for old in history:
            if _number(old) in gone:
                self._client.delete(_path(old))
        return int(made["version"])

    def _deploy(self, release: Object, labels: dict[str, str], before: Sequence[Object], done: str) -> None:
        namespace, name = release["namespace"], release["name"]
        wanted = revision.in_install_order(parse_manifest(release["manifest"]))
        secret = self._claim(release, labels)
        try:
            for one in wanted:
                path = owned_type(one["kind"]).path(namespace, one["metadata"]["name"])
                self._apply(path, revision.marked(one, namespace, name))
            kept = {revision.identity(one) for one in wanted}
            for one in _objects(before):
                if revision.identity(one) not in kept:
                    self._delete(one, namespace)
        except ApiError as error:
            with suppress(ApiError):
                self._mark(secret, "failed", str(error))
            raise
        for old in before:
            if _status(old) == _DEPLOYED:
                self._mark(old, "superseded", f"superseded by revision {release['version']}")
        self._mark(secret, _DEPLOYED, done)

    def _claim(self, release: Object, labels: dict[str, str]) -> Object:
        secret = revision.secret(release, labels, _now())
        try:
            made = self._client.create(SECRET.path(release["namespace"]), secret)
        except Conflict as error:
            number = release["version"]
            raise Conflict(409, f"somebody else makes revision {number} of the release: {error}") from error
        with self._lock:
            self._recent[made["metadata"]["uid"]] = release["manifest"]
            if len(self._recent) > _MOST_RECENT:
                self._recent.popitem(last=False)
        return made

    def _history(self, namespace: str, name: str) -> list[Object]:
        secrets = self._client.list(SECRET.path(namespace), f"owner=helm,name={name}")
        return sorted(secrets, key=_number)

    def _mark(self, secret: Object, status: str, text: str) -> None:
        changed = storage.with_status(secret, status, text)
        labels = changed["metadata"]["labels"]
        labels.pop("createdAt", None)
        labels["modifiedAt"] = str(int(_now().timestamp()))
        self._client.replace(_path(secret), changed)

    def _apply(self, path: str, wanted: Object) -> None:
        try:
            self._client.apply(path, wanted, FIELD_MANAGER, force=False)
        except Conflict as error:
            raise FieldsTaken(409, str(error)) from error
        except NotFound as error:
            # The API server names neither the object nor its kind.
            name, kind = wanted["metadata"]["name"], f"{wanted['apiVersion']} {wanted['kind']}"
            raise NotFound(404, f"the cluster does not know {kind}, which {name} is: {error}") from error

    def _delete(self, one: Object, namespace: str) -> None:
        if one["metadata"].get("annotations", {}).get(KEEP_ANNOTATION) == "keep":
            return  # as Helm does; it has no owner either
        self._client.delete(owned_type(one["kind"]).path(namespace, one["metadata"]["name"]))


def _new(made_of: Ingredients) -> Object:
    chart, values, namespace, name = made_of.chart, made_of.values, made_of.namespace, made_of.name
    manifest = chart.manifest(values, name, namespace)
    return revision.new_release(namespace, name, chart.record, values, manifest, _now())


def _in_effect(history: Sequence[Object]) -> Sequence[Object]:
    """The revisions that may have live objects: from the last that was deployed on."""
    last = max((place for place, one in enumerate(history) if _status(one) == _DEPLOYED), default=0)
    return history[last:]


def _repeated(history: Sequence[Object]) -> Sequence[Object]:
    """The failed revisions that were made anew from the same chart and values."""
    newest = {_digest(one): one for one in history}
    return [one for one in history if _status(one) == "failed" and one is not newest[_digest(one)]]


def _digest(secret: Object) -> str:
    # A revision of somebody else's has none, and is like no other.
    labels = secret["metadata"]["labels"]
    return str(labels.get(DIGEST_LABEL, labels["version"]))


def _objects(secrets: Sequence[Object]) -> tuple[Object, ...]:
    """What these revisions consist of, each object once."""
    found: dict[tuple[str, str], Object] = {}
    for secret in secrets:
        for one in parse_manifest(storage.decode(secret["data"]["release"])["manifest"]):
            found[revision.identity(one)] = one
    return tuple(found.values())


def _number(secret: Object) -> int:
    return int(secret["metadata"]["labels"]["version"])


def _status(secret: Object) -> str:
    return str(secret["metadata"]["labels"]["status"])


def _path(secret: Object) -> str:
    return SECRET.path(secret["metadata"]["namespace"], secret["metadata"]["name"])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
