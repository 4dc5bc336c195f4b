"""What the operator keeps has bounds."""

from __future__ import annotations

from stockpipeline_operator.reconcile.contents import Part, Revisions
from stockpipeline_operator.reconcile.state import ObjectRef, Release, ReleaseStatus


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
