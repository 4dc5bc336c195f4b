"""A pipeline that an earlier operator made with its chart becomes what the chart of today says."""

from __future__ import annotations

from pathlib import Path

from stockpipeline_operator.kube.resources import CONFIG_MAP, DEPLOYMENT, NETWORK_POLICY
from tests.integration.operator.harness import Cluster, Operator, pipeline

PREVIOUS = Path(__file__).parent / "previous_chart"
NAMESPACE = "inherited"


def test_an_upgrade_from_the_previous_chart(
    cluster: Cluster, the_operator: Operator, rights: Path, kafka: str, redis: str, tmp_path: Path
) -> None:
    the_operator.kill()
    cluster.server.kubectl("create", "namespace", NAMESPACE)
    more = {"namespaces": NAMESPACE, "after_kill": cluster.give_lease_up}
    before = Operator(rights, tmp_path, kafka, redis, instance="before", chart=PREVIOUS, **more)
    after = Operator(rights, tmp_path, kafka, redis, instance="after", **more)

    before.start()
    try:
        cluster.apply(pipeline("inherited", NAMESPACE, upgradePolicy="Auto"))
        cluster.settled("inherited", NAMESPACE)
    finally:
        before.kill()
    assert cluster.get(CONFIG_MAP, "inherited-former", NAMESPACE) is not None

    after.start()
    try:
        cluster.settled("inherited", NAMESPACE)
        assert cluster.releases("inherited", NAMESPACE) == [(1, "superseded"), (2, "deployed")]
        assert cluster.get(CONFIG_MAP, "inherited-former", NAMESPACE) is None, "it is no part of the chart"
        assert cluster.get(NETWORK_POLICY, "inherited", NAMESPACE) is not None
        producer = cluster.get(DEPLOYMENT, "inherited-producer", NAMESPACE)
        assert producer is not None
        (container,) = producer["spec"]["template"]["spec"]["containers"]
        assert "--old-option" not in container["args"]
        assert "FORMER" not in [one["name"] for one in container["env"]]
        assert len(cluster.owned(DEPLOYMENT, "inherited", NAMESPACE)) == 2
        cluster.delete("inherited", NAMESPACE)
    finally:
        after.stop()
