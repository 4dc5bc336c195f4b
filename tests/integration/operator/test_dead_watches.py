"""Connections that went dead in silence: what was changed meanwhile is found, and the Lease is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline
from tests.integration.operator.stalling_proxy import StallingProxy


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[StallingProxy]:
    port = urlsplit(cluster.server.url).port
    assert port is not None
    made = StallingProxy(port)
    yield made
    made.close()


def test_changes_are_found_when_all_watches_are_dead(
    cluster: Cluster,
    rights: Path,
    the_operator: Operator,
    proxy: StallingProxy,
    kafka: str,
    redis: str,
    tmp_path: Path,
) -> None:
    the_operator.kill()
    config = yaml.safe_load(rights.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    # The file's name is the Lease's.
    behind = tmp_path / rights.name
    behind.write_text(yaml.safe_dump(config))
    operator = Operator(behind, tmp_path, kafka, redis, resync_seconds=5, after_kill=cluster.give_lease_up)
    operator.start()
    try:
        for name in ("deaf-edited", "deaf-robbed", "deaf-removed"):
            cluster.apply(pipeline(name))
            cluster.settled(name)
        proxy.stall()
        cluster.edit("deaf-edited", {"universe": {"symbols": ["MSFT"]}})
        cluster.server.kubectl("delete", "deployment", "deaf-robbed-producer")
        cluster.server.kubectl("delete", "stockpipeline", "deaf-removed", "--wait=false")
        eventually(lambda: cluster.get(STOCK_PIPELINE, "deaf-removed") is None, "the deletion", seconds=120)
        eventually(lambda: cluster.get(DEPLOYMENT, "deaf-robbed-producer"), "the Deployment", seconds=120)
        eventually(
            lambda: cluster.config("deaf-edited")["spec"]["universe"]["symbols"] == ["MSFT"],
            "the change to be applied",
            seconds=120,
        )
        assert cluster.leader() == "operator", "the same process has worked all the time"
    finally:
        operator.kill()
