"""A cluster in memory, at the boundary of the operator's adapters: the API server, Helm, Kafka and Redis.

It keeps what the operator relies on: resourceVersions, finalizers, who owns which field, releases that are
written in several steps. `World.act` is called before and after each of these steps; it may raise what a real
one may raise, or `Killed`.
"""

from __future__ import annotations

import copy
import datetime
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry

from stockpipeline.api import FINALIZER
from stockpipeline_operator.feed.probe import FeedProbe
from stockpipeline_operator.feed.readings import NoReading
from stockpipeline_operator.feed.replicas import ReplicaProbe
from stockpipeline_operator.helm import storage
from stockpipeline_operator.helm.ingredients import Ingredients
from stockpipeline_operator.helm.releases import FieldConflict, HelmFailure, field_manager
from stockpipeline_operator.helm.revision import expendable
from stockpipeline_operator.kafka_topics import KafkaUnreachable
from stockpipeline_operator.kube.client import ApiError, Conflict, NotFound
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.adopt import marked
from stockpipeline_operator.reconcile.attempts import Attempts
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.batch_figures import Batches
from stockpipeline_operator.reconcile.contents import Revisions
from stockpipeline_operator.reconcile.corrections import Corrections
from stockpipeline_operator.reconcile.inventory import Inventory
from stockpipeline_operator.reconcile.state import Release, ReleaseStatus
from stockpipeline_operator.reconcile.work import Tools
from stockpipeline_operator.settings import Settings

Object = dict[str, Any]
START = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
PIPELINE = "/apis/stockpipeline.dev/v1alpha1/namespaces/default/stockpipelines/demo"
PLACES = {
    "Deployment": "/apis/apps/v1/namespaces/default/deployments",
    "ConfigMap": "/api/v1/namespaces/default/configmaps",
}
COLLECTIONS = {kind: place.replace("/namespaces/default", "") for kind, place in PLACES.items()}
NOT_APPLIED = {"apiVersion", "kind", "managedFields", "name", "namespace", "status", "resourceVersion"}
COMPONENTS = ("producer", "detector")


class Killed(BaseException):
    """The process is gone; nothing after it runs."""


def path_of(body: Object) -> str:
    return f"{PLACES[body['kind']]}/{body['metadata']['name']}"


def fields(value: Object) -> Object:
    """The tree of a body's fields as managedFields has it; lists are owned as a whole."""
    tree = {}
    for name, member in value.items():
        if name not in NOT_APPLIED:
            tree[f"f:{name}"] = fields(member) if isinstance(member, dict) else {}
    return tree


class World:
    """All that outlives the operator's process."""

    def __init__(self) -> None:
        self.time = START
        self.objects: dict[str, Object] = {}
        self.revisions: list[Object] = []
        self.topics: dict[str, dict[str, int]] = {}
        self.keys: dict[str, set[str]] = {}
        self.kafka_away = False
        self.writes = 0
        self.events: list[str] = []
        self.failure: Callable[[], BaseException] | None = None
        self.failure_in = 0
        self._version = itertools.count(1)

    def act(self, where: str = "api") -> None:
        """A boundary between two steps of an adapter: the process may be killed here, or a request fail."""
        if self.failure is None:
            return
        self.failure_in -= 1
        if self.failure_in >= 0:
            return
        failure = self.failure()
        if isinstance(failure, HelmFailure) and where != "helm":
            return
        self.failure = None
        if isinstance(failure, ApiError) and where == "event":
            return
        if isinstance(failure, ApiError) and where == "helm":
            raise HelmFailure(str(failure))
        if isinstance(failure, ApiError) and where == "kafka":
            raise KafkaUnreachable("Kafka does not answer")
        raise failure

    def wrote(self, found: Object) -> None:
        self.writes += 1
        found["metadata"]["resourceVersion"] = str(next(self._version))

    def new_uid(self) -> str:
        return f"uid-{next(self._version)}"

    def stamp(self) -> str:
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    def owned(self) -> list[Object]:
        return [one for path, one in self.objects.items() if path != PIPELINE]

    def tools(self) -> Tools:
        """The adapters of a new process."""
        client, metrics = Client(self), OperatorMetrics(CollectorRegistry())
        releases = Releases(self)
        inventory = Inventory(client, releases, lambda: self.time.timestamp())  # type: ignore[arg-type]
        return Tools(
            client=client,  # type: ignore[arg-type]
            releases=releases,  # type: ignore[arg-type]
            kafka=Kafka(self),  # type: ignore[arg-type]
            events=Events(self),  # type: ignore[arg-type]
            metrics=metrics,
            inventory=inventory,
            revisions=Revisions(releases),  # type: ignore[arg-type]
            corrections=Corrections(lambda: self.time),
            attempts=Attempts(lambda: self.time.timestamp()),
            feed=FeedProbe(_nobody_answers, lambda _: None, lambda: self.time),
            replicas=ReplicaProbe(_nobody_answers, lambda _: None),
            batches=Batches(),
            ask_pod=lambda _: (),
            now=lambda: self.time,
        )

    def base(self, settings: Settings) -> Base:
        """What the operator of this cluster brings."""
        return Base(settings, Chart())  # type: ignore[arg-type]

    def apply(self, body: Object, manager: str, *, force: bool) -> Object:
        """Server-side apply of an owned object."""
        path = path_of(body)
        live = self.objects.get(path)
        if live is not None and not force:
            for entry in live["metadata"]["managedFields"]:
                if entry["manager"] != manager and _overlaps(entry["fieldsV1"], fields(body)):
                    raise FieldConflict(f"conflict occurred while applying {path}: by {entry['manager']}")
        made = copy.deepcopy(body)
        metadata = made["metadata"]
        metadata["uid"] = live["metadata"]["uid"] if live else self.new_uid()
        metadata["generation"] = live["metadata"]["generation"] + 1 if live else 1
        if live and live.get("spec") == made.get("spec"):
            metadata["generation"] = live["metadata"]["generation"]
        if live and "status" in live:
            made["status"] = live["status"]
        metadata["managedFields"] = [{"manager": manager, "operation": "Apply", "fieldsV1": fields(body)}]
        if live is None or _content(live) != _content(made):
            self.wrote(made)
            self.objects[path] = made
        return copy.deepcopy(self.objects[path])


def _content(found: Object) -> Object:
    return {**found, "metadata": {k: v for k, v in found["metadata"].items() if k != "resourceVersion"}}


def _overlaps(first: Object, second: Object) -> bool:
    shared = first.keys() & second.keys()
    return any(not first[key] or not second[key] or _overlaps(first[key], second[key]) for key in shared)


class Client:
    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, path: str, **_: Any) -> Object | None:
        self._world.act()
        if "/secrets/" in path:
            return next(
                (one for one in map(_secret, self._world.revisions) if path.endswith(one["path"])), None
            )
        return copy.deepcopy(self._world.objects.get(path))

    def list(self, path: str, *_: Any, **__: Any) -> Iterator[Object]:
        """Of what lists are asked for, only the owned objects of all namespaces are there."""
        self._world.act()
        kind = next((kind for kind, place in COLLECTIONS.items() if place == path), None)
        return iter([copy.deepcopy(one) for one in self._world.owned() if one["kind"] == kind])

    def replace(self, path: str, body: Object) -> Object:
        self._world.act()
        for revision in self._world.revisions:
            if path.endswith(f".v{revision['revision']}"):
                revision["status"] = storage.decode(body["data"]["release"])["info"]["status"]
        self._world.writes += 1
        self._world.act()
        return body

    def merge(self, path: str, body: Object) -> Object:
        self._world.act()
        found = self._world.objects.get(PIPELINE)
        if found is None:
            raise NotFound(404, "not found")
        if body["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            raise Conflict(409, "the object has been modified")
        if path.endswith("/status"):
            found["status"] = _merged(found.get("status", {}), body["status"])
        else:
            found["metadata"]["finalizers"] = body["metadata"]["finalizers"]
        self._world.wrote(found)
        if "deletionTimestamp" in found["metadata"] and not found["metadata"].get("finalizers"):
            del self._world.objects[PIPELINE]
        answer = copy.deepcopy(found)
        self._world.act()
        return answer

    def apply(self, _: str, body: Object, manager: str, *, dry_run: bool = False) -> Object:
        self._world.act()
        if dry_run:
            return copy.deepcopy(body)
        answer = self._world.apply(body, manager, force=True)
        self._world.act()
        return answer


def _merged(old: Object, patch: Object) -> Object:
    made = dict(old)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = _merged(made[name], value)
        else:
            made[name] = value
    return made


def _secret(revision: Object) -> Object:
    release = {"info": {"status": revision["status"]}, "manifest": revision["manifest"]}
    return {
        "path": storage.secret_name("demo", revision["revision"]),
        "metadata": {"labels": {}},
        "data": {"release": storage.encode(release)},
    }


class Chart:
    """Renders two Deployments and a ConfigMap from the operator's values. Also its own handle."""

    version = "0"

    def __init__(self, identity: str = "model") -> None:
        self.identity = identity
        self.handle = self
        self.defaults: Object = {component: {"resources": {}} for component in COMPONENTS}

    def validate_schema(self, values: Object) -> None:
        """Any values are fine."""

    def digest(self, values: Object) -> str:
        return self.identity + json.dumps(values, sort_keys=True)

    def render(self, values: Object, name: str, _: str) -> tuple[Object, ...]:
        labels = {"stockpipeline.dev/pipeline": name}
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-config", "labels": labels},
            "data": {"pipeline.json": values["config"]},
        }
        deployments = (
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    "name": f"{name}-{component}",
                    "labels": labels | {"app.kubernetes.io/component": component},
                },
                "spec": {
                    "replicas": 0 if values["suspend"] else 1,
                    "template": {"config": values["config"], "image": values["image"]["tag"]},
                },
            }
            for component in COMPONENTS
        )
        return (config, *deployments)


def _rendered(made_of: Ingredients) -> tuple[Object, ...]:
    return made_of.chart.render(made_of.values, made_of.name, made_of.namespace)


def _nobody_answers(namespace: str, name: str) -> NoReturn:
    raise NoReading(f"{namespace}/{name}")


class Releases:
    """Helm: a revision is stored as pending, objects are applied one by one, then it is marked."""

    def __init__(self, world: World) -> None:
        self._world = world

    def history(self, _: str, name: str) -> tuple[Release, ...]:
        self._world.act()
        return tuple(
            Release(
                name,
                one["revision"],
                ReleaseStatus(one["status"]),
                one["digest"],
                one["uid"],
                one["made"],
                one["base"],
                one["generation"],
            )
            for one in self._world.revisions
        )

    def histories(self, namespace: str) -> dict[str, tuple[Release, ...]]:
        return {"demo": self.history(namespace, "demo")}

    def stored(self, _: str, release: Release) -> Object:
        found = next(one for one in self._world.revisions if one["uid"] == release.uid)
        return {"chart": {}, "config": found["values"]}

    def manifest(self, _: str, release: Release) -> str:
        found = next(one for one in self._world.revisions if one["uid"] == release.uid)
        return str(found["manifest"])

    def install(self, made_of: Ingredients) -> int:
        assert not self._world.revisions, "Helm refuses a name that is in use"
        return self._make("pending-install", made_of, _rendered(made_of), made_of.values)

    def upgrade(self, made_of: Ingredients, good: Release | None) -> int:
        keep = None if good is None else good.revision
        return self._make("pending-upgrade", made_of, _rendered(made_of), made_of.values, keep)

    def roll_back(self, namespace: str, good: Release) -> None:
        objects = tuple(json.loads(text) for text in self.manifest(namespace, good).split("\n---\n"))
        self._make("pending-rollback", good, objects, self.stored(namespace, good)["config"])

    def uninstall(self, *_: str) -> None:
        if not self._world.revisions:
            return
        self._world.act("helm")
        self._world.revisions[-1]["status"] = "uninstalling"
        for found in self._world.owned():
            self._world.act("helm")
            self._world.objects.pop(path_of(found), None)
        self._world.act("helm")
        self._world.revisions.clear()
        self._world.writes += 1
        self._world.act("helm")

    def _make(
        self,
        pending: str,
        made_of: Ingredients | Release,
        objects: tuple[Object, ...],
        values: Object,
        keep: int | None = None,
    ) -> int:
        world = self._world
        if world.revisions and world.revisions[-1]["status"].startswith("pending-"):
            raise HelmFailure("another operation (install/upgrade/rollback) is in progress")
        world.act("helm")
        number = world.revisions[-1]["revision"] + 1 if world.revisions else 1
        manifest = "\n---\n".join(json.dumps(one) for one in objects)
        made = {"revision": number, "status": pending, "digest": made_of.digest, "manifest": manifest}
        made |= {"base": made_of.base, "generation": made_of.generation, "values": values}
        made |= {"uid": world.new_uid(), "made": world.stamp()}
        world.revisions.append(made)
        world.writes += 1
        try:
            for wanted in objects:
                world.act("helm")
                world.apply(marked(wanted, "default", "demo"), field_manager(), force=False)
            world.act("helm")
        except Exception:
            made["status"] = "failed"
            raise
        for earlier in world.revisions[:-1]:
            if earlier["status"] == "deployed":
                earlier["status"] = "superseded"
        made["status"] = "deployed"
        gone = expendable([one["revision"] for one in world.revisions[:-1]], keep)
        world.revisions[:] = [one for one in world.revisions if one["revision"] not in gone]
        world.act("helm")
        return int(number)


class Kafka:
    def __init__(self, world: World) -> None:
        self._world = world

    def partitions(self, servers: str) -> dict[str, int]:
        self._world.act("kafka")
        if self._world.kafka_away:
            raise KafkaUnreachable(f"Kafka at {servers} cannot be reached")
        return dict(self._world.topics.get(servers, {}))

    def create(self, servers: str, _: Any, topics: tuple[str, ...], partitions: int) -> None:
        for topic in topics:
            self._world.act("kafka")
            self._world.topics.setdefault(servers, {})[topic] = partitions
            self._world.writes += 1
        self._world.act("kafka")

    def delete(self, servers: str, names: Any) -> None:
        self.partitions(servers)
        for topic in names.topics.values():
            self._world.act("kafka")
            self._world.topics.get(servers, {}).pop(topic, None)
        self._world.act("kafka")


class Events:
    def __init__(self, world: World) -> None:
        self._world = world

    def record(self, _: Any, __: str, reason: str, ___: str) -> None:
        self._world.act("event")
        self._world.events.append(reason)


def refused(status: int, message: str) -> ApiError:
    """What the API server may answer to any request."""
    return {409: Conflict, 404: NotFound}.get(status, ApiError)(status, message)


def new_pipeline(world: World, spec: Object) -> None:
    """What a user applies."""
    world.objects[PIPELINE] = {
        "metadata": {"name": "demo", "namespace": "default", "uid": world.new_uid(), "generation": 1},
        "spec": spec,
    }
    world.wrote(world.objects[PIPELINE])


def delete_pipeline(world: World) -> None:
    """What a user deletes: gone at once, unless something holds it."""
    found = world.objects.get(PIPELINE)
    if found is None:
        return
    if FINALIZER in found["metadata"].get("finalizers", ()):
        found["metadata"].setdefault("deletionTimestamp", world.stamp())
    else:
        del world.objects[PIPELINE]
