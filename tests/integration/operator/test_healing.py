"""What is deleted, edited or interrupted is put right."""

from __future__ import annotations

import pytest

from stockpipeline_operator.helm.storage import secret_name, with_status
from stockpipeline_operator.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    NETWORK_POLICY,
    SECRET,
    SERVICE_ACCOUNT,
    ResourceType,
)
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline


@pytest.mark.parametrize(
    ("resource", "suffix"),
    [(DEPLOYMENT, "-detector"), (CONFIG_MAP, "-config"), (SERVICE_ACCOUNT, ""), (NETWORK_POLICY, "")],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_deleted_object_comes_back_as_it_was(
    cluster: Cluster, operator: Operator, resource: ResourceType, suffix: str
) -> None:
    name = f"whole-{resource.plural}"
    cluster.apply(pipeline(name))
    cluster.settled(name)
    before = cluster.get(resource, name + suffix)
    assert before is not None

    cluster.server.kubectl("delete", resource.plural, name + suffix)
    after = eventually(lambda: cluster.get(resource, name + suffix), "the object to come back", seconds=10)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    for member in ("labels", "annotations", "ownerReferences"):
        assert after["metadata"].get(member) == before["metadata"].get(member)
    assert after.get("spec") == before.get("spec")
    assert after.get("data") == before.get("data")
    assert cluster.releases(name) == [(1, "deployed")], "put back from the revision that is deployed"


def test_a_broken_spec_does_not_stop_the_healing_of_what_runs(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("mended"))
    cluster.settled("mended")
    cluster.edit("mended", {"rules": [{"name": "bad", "side": "buy", "when": "rsi14 < < 30"}]})
    cluster.has_reason("mended", "InvalidRule")
    cluster.server.kubectl("delete", "deployment", "mended-producer")
    eventually(lambda: cluster.get(DEPLOYMENT, "mended-producer"), "the Deployment to come back", seconds=10)


def test_releases_that_a_kill_left_pending_are_freed(cluster: Cluster, operator: Operator) -> None:
    left = {"pending-install": 1, "pending-upgrade": 2, "pending-rollback": 2}
    names = {status: f"stuck-{status}" for status in left}
    for name in names.values():
        cluster.apply(pipeline(name))
    for name in names.values():
        cluster.settled(name)
    for status, revision in left.items():
        if revision == 2:
            cluster.edit(names[status], {"universe": {"symbols": ["MSFT"]}})
            cluster.settled(names[status])

    operator.kill()
    for status, revision in left.items():
        path = SECRET.path("default", secret_name(names[status], revision))
        stored = cluster.client.get(path)
        assert stored is not None
        cluster.client.replace(path, with_status(stored, status, "left by a kill"))
        # Half of the objects were not made yet.
        cluster.server.kubectl("delete", "deployment", f"{names[status]}-producer")
    operator.start()

    for status, revision in left.items():
        name = names[status]
        cluster.settled(name)
        assert cluster.releases(name)[-1] == (revision + 1, "deployed")
        assert {status for _, status in cluster.releases(name)[:-1]} <= {"failed", "superseded"}
        assert cluster.get(DEPLOYMENT, f"{name}-producer") is not None


def test_a_release_that_a_kill_left_uninstalling_is_made_anew(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("halfway"))
    cluster.settled("halfway")
    operator.kill()
    path = SECRET.path("default", secret_name("halfway", 1))
    stored = cluster.client.get(path)
    assert stored is not None
    cluster.client.replace(path, with_status(stored, "uninstalling", "left by a kill"))
    operator.start()

    def made_anew() -> bool:
        found = cluster.get(SECRET, secret_name("halfway", 1))
        return found is not None and found["metadata"]["uid"] != stored["metadata"]["uid"]

    eventually(made_anew, "a new installation")
    cluster.settled("halfway")


def test_an_operator_killed_at_work_converges_after_its_restart(cluster: Cluster, operator: Operator) -> None:
    names = [f"churn-{number}" for number in range(6)]
    for name in names:
        cluster.apply(pipeline(name))
    # In the middle: some releases are stored, others not yet.
    eventually(lambda: any(cluster.release_secrets(name) for name in names), "the first release")
    operator.kill()
    operator.start()

    for name in names:
        cluster.settled(name)
        revisions = cluster.releases(name)
        assert revisions[-1][1] == "deployed"
        assert len(revisions) <= 2, "made once, or once more after the interruption"
        assert len(cluster.owned(DEPLOYMENT, name)) == 2
