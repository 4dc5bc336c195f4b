"""What the operator keeps has bounds."""

from __future__ import annotations

from stockpipeline_operator.helm.config_cache import ConfigCache
from stockpipeline_operator.reconcile.contents import Part, Revisions
from stockpipeline_operator.reconcile.state import ObjectRef, Release, ReleaseStatus


class Config:
    closed = False

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def close(self) -> None:
        self.closed = True


def test_configurations_that_were_not_used_for_longest_are_closed() -> None:
    made: list[Config] = []

    def make(namespace: str) -> Config:
        made.append(Config(namespace))
        return made[-1]

    cache = ConfigCache(make, limit=2)
    for namespace in ("a", "b", "a", "c", "a"):
        with cache.use(namespace):
            pass
    assert [(one.namespace, one.closed) for one in made] == [("a", False), ("b", True), ("c", False)]


def test_a_configuration_in_use_stays_open() -> None:
    cache = ConfigCache(Config, limit=1)
    with cache.use("a") as first, cache.use("b") as second:
        with cache.use("a") as again:
            assert again is first
        assert (first.closed, second.closed) == (False, False)
    assert second.closed is not first.closed


class Releases:
    """Counts how often a manifest is read."""

    reads = 0

    def manifest(self, *_: object) -> str:
        self.reads += 1
        return (
            "kind: Deployment\nmetadata: {name: a, labels: {app.kubernetes.io/component: one},"
            " annotations: {stockpipeline.dev/after: two three}}\nspec: {replicas: 2}\n---\n"
            "kind: Deployment\nmetadata: {name: scaled}\nspec: {}\n---\n"
            "kind: ConfigMap\nmetadata: {name: b}\n"
        )


def revision(number: int) -> Release:
    return Release("demo", number, ReleaseStatus.DEPLOYED, "digest", uid=f"uid-{number}")


def test_a_manifest_is_read_once_for_each_revision() -> None:
    releases = Releases()
    revisions = Revisions(releases)  # type: ignore[arg-type]
    for number in (1, 1, 2, 2):
        parts = revisions.contents("default", revision(number)).parts
    assert releases.reads == 2
    assert parts == (
        Part(ObjectRef("Deployment", "a"), 2, "one", ("two", "three")),
        Part(ObjectRef("Deployment", "scaled"), None, "scaled"),
        Part(ObjectRef("ConfigMap", "b"), None),
    )
    assert [part.workload for part in parts] == [True, True, False]


def test_what_was_found_good_is_good_until_the_fields_that_are_ours_change() -> None:
    contents = Revisions(Releases()).contents("default", revision(1))  # type: ignore[arg-type]
    ref = ObjectRef("Deployment", "a")
    assert not contents.unchanged(ref, {"f:spec": {}})
    contents.as_it_should(ref, {"f:spec": {}})
    assert contents.unchanged(ref, {"f:spec": {}})
    assert not contents.unchanged(ref, {})
