"""Releases that we write are Helm's: the same content, and Helm's own program can work with them."""

from __future__ import annotations

import json

import helm_python
import pytest

from cluster.shell import run
from stockpipeline_operator.helm import storage
from stockpipeline_operator.helm.changes import ReleaseChanges
from stockpipeline_operator.helm.chart import PipelineChart, parse_manifest
from stockpipeline_operator.helm.ingredients import Ingredients
from stockpipeline_operator.helm.revision import MAX_HISTORY
from stockpipeline_operator.kube.client import Conflict, KubeClient, Object
from stockpipeline_operator.kube.credentials import connection
from stockpipeline_operator.kube.resources import CONFIG_MAP, DEPLOYMENT, SECRET
from stockpipeline_operator.leadership.fence import NotLeading
from tests.integration.operator.harness import REPO, Cluster

CHART = PipelineChart(REPO / "charts" / "stockpipeline")


@pytest.fixture
def changes(cluster: Cluster) -> ReleaseChanges:
    return ReleaseChanges(cluster.client)


def made_of(name: str, config: str = "{}") -> Ingredients:
    values = {
        "config": config,
        "suspend": True,
        "owner": {"name": name, "uid": "6a1c1f3e-0000-4000-8000-000000000000"},
        "image": {"repository": "localhost/services", "tag": "1", "pullPolicy": "IfNotPresent"},
    }
    return Ingredients("default", name, CHART, values, digest="abc", base="def", generation=1)


def stored(cluster: Cluster, name: str, revision: int = 1) -> tuple[Object, Object]:
    """The Secret of a revision, and the release in it."""
    secret = cluster.get(SECRET, storage.secret_name(name, revision))
    assert secret is not None
    return secret, storage.decode(secret["data"]["release"])


def without_times(release: Object) -> Object:
    """A release without what differs from one installation to the next."""
    text = {key: value for key, value in release["info"].items() if not key.endswith("deployed")}
    chart = {
        key: [{"name": one["name"], "data": one["data"]} for one in value]
        if key == "templates"
        else value or None
        for key, value in release["chart"].items()
        if "modtime" not in key
    }
    manifest = sorted(map(json.dumps, parse_manifest(release["manifest"])))
    return {**release, "info": text, "chart": chart, "manifest": manifest}


def test_a_release_is_stored_as_helm_itself_stores_it(cluster: Cluster, changes: ReleaseChanges) -> None:
    wanted = made_of("same")
    changes.install(wanted)
    our_secret, ours = stored(cluster, "same")
    objects = {kind: cluster.get(kind, "same-config" if kind is CONFIG_MAP else "same-producer")
               for kind in (CONFIG_MAP, DEPLOYMENT)}  # fmt: skip
    changes.uninstall("default", "same")
    with helm_python.Config(kubeconfig_path=cluster.server.kubeconfig, namespace="default") as config:
        config.install(CHART.handle, "same", wanted.values, labels=wanted.labels)
        their_secret, theirs = stored(cluster, "same")
        for kind, found in objects.items():
            again = cluster.get(kind, "same-config" if kind is CONFIG_MAP else "same-producer")
            assert found is not None
            assert again is not None
            for member in ("spec", "data"):
                assert found.get(member) == again.get(member)
            for member in ("labels", "annotations", "ownerReferences"):
                assert found["metadata"].get(member) == again["metadata"].get(member)
        config.uninstall("same")
    expected, found = without_times(theirs), without_times(ours)
    for member in expected["chart"]:
        assert found["chart"][member] == expected["chart"][member], member
    assert found == expected
    assert our_secret["type"] == their_secret["type"]
    assert set(our_secret["metadata"]["labels"]) == set(their_secret["metadata"]["labels"])


def test_helms_program_can_read_and_roll_back_what_we_made(cluster: Cluster, changes: ReleaseChanges) -> None:
    changes.install(made_of("read", '{"a":1}'))
    changes.upgrade(made_of("read", '{"a":2}'))

    def helm(*words: str) -> str:
        program = cluster.server.programs / "helm"
        return run([program, "--kubeconfig", cluster.server.kubeconfig, *words], timeout=60).stdout

    (listed,) = [one for one in json.loads(helm("list", "--output", "json")) if one["name"] == "read"]
    assert (listed["status"], listed["revision"]) == ("deployed", "2")
    history = json.loads(helm("history", "read", "--output", "json"))
    assert [(one["revision"], one["status"]) for one in history] == [(1, "superseded"), (2, "deployed")]
    assert "read-producer" in helm("get", "manifest", "read")
    helm("rollback", "read", "1", "--force-conflicts")
    found = cluster.get(CONFIG_MAP, "read-config")
    assert found is not None
    assert found["data"]["pipeline.json"] == '{"a":1}'
    changes.uninstall("default", "read")
    assert cluster.releases("read") == []
    assert cluster.get(CONFIG_MAP, "read-config") is None


def test_the_history_is_short_and_a_rollback_is_a_revision(cluster: Cluster, changes: ReleaseChanges) -> None:
    changes.install(made_of("long", '{"n":1}'))
    for number in range(2, 8):
        changes.upgrade(made_of("long", json.dumps({"n": number})))
    assert [number for number, _ in cluster.releases("long")] == [3, 4, 5, 6, 7]
    changes.roll_back("default", "long", 4, made_of("long").labels)
    assert cluster.releases("long")[-1] == (8, "deployed")
    assert len(cluster.releases("long")) == MAX_HISTORY
    found = cluster.get(CONFIG_MAP, "long-config")
    assert found is not None
    assert found["data"]["pipeline.json"] == '{"n": 4}'
    assert (
        stored(cluster, "long", 8)[1]["info"]["first_deployed"]
        == stored(cluster, "long", 5)[1]["info"]["first_deployed"]
    )
    changes.uninstall("default", "long")


def test_failed_attempts_at_the_same_do_not_pile_up(cluster: Cluster, changes: ReleaseChanges) -> None:
    changes.install(made_of("vain"))
    for _ in range(8):
        changes.upgrade(made_of("vain", '{"n":1}'))
        number = cluster.releases("vain")[-1][0]
        secret, _ = stored(cluster, "vain", number)
        path = SECRET.path("default", secret["metadata"]["name"])
        cluster.client.replace(path, storage.with_status(secret, "failed", "refused"))
    assert cluster.releases("vain") == [(1, "superseded"), (8, "failed"), (9, "failed")]
    changes.uninstall("default", "vain")


def test_a_revision_that_somebody_else_makes_is_left_to_him(
    cluster: Cluster, changes: ReleaseChanges
) -> None:
    changes.install(made_of("claimed"))
    with pytest.raises(Conflict, match="somebody else makes revision 1"):
        changes.install(made_of("claimed", '{"late":true}'))
    found = cluster.get(CONFIG_MAP, "claimed-config")
    assert found is not None
    assert found["data"]["pipeline.json"] == "{}"
    changes.uninstall("default", "claimed")


def test_a_leader_that_ends_between_any_two_requests_sends_no_more(
    cluster: Cluster, changes: ReleaseChanges
) -> None:
    changes.install(made_of("cut"))
    interrupted = 0
    for allowed in range(20):
        left = allowed

        def fence() -> None:
            nonlocal left
            if left == 0:
                raise NotLeading("not any more")
            left -= 1

        fenced = ReleaseChanges(KubeClient(connection(), connections=1, before_write=fence))
        before = cluster.releases("cut")
        try:
            fenced.upgrade(made_of("cut", json.dumps({"n": allowed})))
        except NotLeading:
            interrupted += 1
            assert left == 0
            after = cluster.releases("cut")
            if allowed == 0:
                assert after == before
            elif (revision := after[-1])[1].startswith("pending"):
                # As the next pass does.
                secret, _ = stored(cluster, "cut", revision[0])
                path = SECRET.path("default", secret["metadata"]["name"])
                cluster.client.replace(path, storage.with_status(secret, "failed", "interrupted"))
        else:
            break
    assert interrupted >= 8, "claim, five objects, and the two marks at least"
    changes.upgrade(made_of("cut", '{"end":true}'))
    assert [status for _, status in cluster.releases("cut")].count("deployed") == 1
    assert cluster.releases("cut")[-1][1] == "deployed"
    found = cluster.get(CONFIG_MAP, "cut-config")
    assert found is not None
    assert found["data"]["pipeline.json"] == '{"end":true}'
    changes.uninstall("default", "cut")
