"""An upgraded operator restarts nothing by itself: releases keep what they were made with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockpipeline_operator.kube.resources import DEPLOYMENT
from tests.integration.operator.harness import REPO, Cluster, Operator, eventually, pipeline

OLD, NEW = "localhost/stockpipeline/services:test", "localhost/stockpipeline/services:newer"


@pytest.fixture
def newer(operator: Operator, rights: Path, kafka: str, redis: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator of a later version, not started yet: another image, and a chart with another label."""
    chart = tmp_path / "stockpipeline"
    shutil.copytree(REPO / "charts" / "stockpipeline", chart)
    metadata = chart / "Chart.yaml"
    metadata.write_text(metadata.read_text().replace("version: 0.1.0", "version: 0.2.0"))
    helpers = chart / "templates" / "_helpers.tpl"
    marked = helpers.read_text().replace(
        "app.kubernetes.io/part-of: stockpipeline\n", "app.kubernetes.io/part-of: stockpipeline\nera: newer\n"
    )
    assert "era: newer" in marked
    helpers.write_text(marked)
    process = Operator(rights, tmp_path, kafka, redis, chart=chart, tag="newer")
    yield process
    process.stop()


def images(cluster: Cluster, name: str) -> set[str]:
    deployments = cluster.owned(DEPLOYMENT, name)
    return {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in deployments}


def eras(cluster: Cluster, name: str) -> set[str | None]:
    return {one["metadata"]["labels"].get("era") for one in cluster.owned(DEPLOYMENT, name)}


def held(cluster: Cluster, name: str) -> bool:
    status, reason, _ = cluster.condition(name, "UpgradeAvailable")
    return (status, reason) == ("True", "Held")


def test_a_release_keeps_what_it_was_made_with_until_the_upgrade_is_accepted(
    cluster: Cluster, operator: Operator, newer: Operator
) -> None:
    cluster.apply(pipeline("keeper"))
    cluster.apply(pipeline("taker", upgradePolicy="Auto"))
    for name in ("keeper", "taker"):
        cluster.settled(name)
        assert cluster.condition(name, "UpgradeAvailable")[:2] == ("False", "UpToDate")

    operator.stop()
    newer.start()
    eventually(lambda: images(cluster, "taker") == {NEW}, "the upgrade of what takes upgrades", seconds=60)
    eventually(lambda: held(cluster, "keeper"), "the upgrade to be offered")
    assert images(cluster, "keeper") == {OLD}
    assert cluster.releases("keeper") == [(1, "deployed")]
    assert cluster.condition("keeper")[:2] == ("True", "Running"), "it runs on"
    message = cluster.condition("keeper", "UpgradeAvailable")[2]
    plan = cluster.plan("keeper")
    assert plan["reason"] == "Upgrade"
    assert f"stockpipeline.dev/approve={plan['digest']}" in message
    assert "chart 0.2.0" in message
    assert NEW in message
    changed = {field for one in plan["changes"] for field in one.get("fields", ())}
    assert "spec.template.spec.containers[detector].image" in changed
    assert "metadata.labels.era" in changed

    # A changed spec is carried out with the chart and the image that the release was made with.
    cluster.edit("keeper", {"universe": {"symbols": ["AAPL", "IBM", "MSFT"]}})
    eventually(lambda: cluster.releases("keeper")[-1] == (2, "deployed"), "the change")
    assert cluster.config("keeper")["spec"]["universe"]["symbols"] == ["AAPL", "IBM", "MSFT"]
    assert (images(cluster, "keeper"), eras(cluster, "keeper")) == ({OLD}, {None})

    cluster.rolled_out("keeper")
    eventually(lambda: held(cluster, "keeper"), "the upgrade to be offered again")
    cluster.approve("keeper", cluster.plan("keeper")["digest"])
    cluster.settled("keeper")
    assert (images(cluster, "keeper"), eras(cluster, "keeper")) == ({NEW}, {"newer"})
    assert cluster.condition("keeper", "UpgradeAvailable")[:2] == ("False", "UpToDate")
    assert "plan" not in cluster.pipeline("keeper")["status"]
