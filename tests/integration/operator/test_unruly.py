"""The real operator, killed between any two writes and refused at any request, comes to the same end.

Pipelines are made, upgraded, rolled back, put right and deleted at the same time, so that an accident meets
each of them at another step. With STOCKPIPELINE_TEST_KILLS=100 it is killed until it writes no more.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from stockpipeline.api import Topic
from stockpipeline_operator.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    NETWORK_POLICY,
    OWNED,
    POD,
    SERVICE_ACCOUNT,
    STOCK_PIPELINE,
)
from tests.integration.operator.harness import Cluster, Operator, eventually, pipeline
from tests.integration.operator.unruly import Meddling, Request, UnrulyServer, What, leave_alone

NAMESPACE = "unruly"
PATIENCE = 180
SEED = 20261123
WAYS = [(What.REFUSE, 409), (What.REFUSE, 429), (What.REFUSE, 500), (What.REFUSE, 504), (What.SWALLOW, 0)]
KILLS = int(os.environ.get("STOCKPIPELINE_TEST_KILLS", "4"))


@pytest.fixture
def unruly(cluster: Cluster, the_operator: Operator, rights: Path, tmp_path: Path) -> Iterator[UnrulyServer]:
    """The proxy; the operator for all namespaces is stopped."""
    the_operator.kill()
    if cluster.client.get(f"/api/v1/namespaces/{NAMESPACE}") is None:
        cluster.server.kubectl("create", "namespace", NAMESPACE)
    with UnrulyServer(rights, tmp_path).serving() as server:
        yield server


@pytest.fixture
def shaken(
    cluster: Cluster, unruly: UnrulyServer, kafka: str, redis: str, tmp_path: Path
) -> Iterator[Operator]:
    """An operator behind the proxy, for one namespace."""
    process = Operator(
        unruly.kubeconfig,
        tmp_path,
        kafka,
        redis,
        namespaces=NAMESPACE,
        after_kill=cluster.give_lease_up,
        # A deletion is given up in another test; here it fails for a while, and must come to its end.
        deletion_deadline_seconds=PATIENCE,
    )
    process.start()
    unruly.victim = process.pid
    yield process
    process.kill()


class Stories:
    """Five pipelines, each at the beginning of another story, and how each must end."""

    def __init__(self, cluster: Cluster, prefix: str) -> None:
        self._cluster = cluster
        self.made, self.upgraded, self.fallen, self.mended, self.deleted = (
            f"{prefix}-{story}" for story in ("made", "upgraded", "fallen", "mended", "deleted")
        )

    def prepare(self) -> None:
        """Bring all but the first to where their stories begin."""
        names = (self.upgraded, self.fallen, self.mended, self.deleted)
        for name in names:
            self._cluster.apply(pipeline(name, NAMESPACE))
        for name in names:
            self._cluster.settled(name, NAMESPACE)

    def begin(self) -> None:
        """Let everything happen at once."""
        cluster = self._cluster
        for name in (self.upgraded, self.fallen):
            cluster.edit(name, {"universe": {"symbols": ["MSFT"]}}, NAMESPACE)
        cluster.apply(pipeline(self.made, NAMESPACE))
        cluster.server.kubectl("delete", "stockpipeline", self.deleted, "-n", NAMESPACE, "--wait=false")
        cluster.server.kubectl("delete", "configmap", f"{self.mended}-config", "-n", NAMESPACE)
        cluster.server.kubectl("scale", f"deployment/{self.mended}-detector", "--replicas=4", "-n", NAMESPACE)

    def break_down(self) -> None:
        """Once it has the new spec, the second pipeline never becomes ready."""

        def upgraded() -> bool:
            # Not before the whole revision is there: what is given up then is the one before it.
            assert self._cluster.condition(self.fallen, namespace=NAMESPACE)[1] == "WorkloadsStarting"
            symbols = self._cluster.config(self.fallen, NAMESPACE)["spec"]["universe"]["symbols"]
            return bool(symbols == ["MSFT"])

        eventually(upgraded, "the upgrade that will fail", seconds=PATIENCE)
        self._cluster.given_up(self.fallen, "detector", "cannot go on", NAMESPACE)

    def end_well(self, kafka: str) -> None:
        """Wait for the end of each story; nothing may be missing or doubled."""
        cluster = self._cluster
        for name in (self.made, self.upgraded, self.mended):
            symbols = ["MSFT"] if name == self.upgraded else ["AAPL", "IBM"]
            eventually(lambda name=name: self._runs(name), f"{name} to run", seconds=PATIENCE)
            self._is_whole(name, symbols)
        message = self._reason(self.fallen, "RolledBack")
        assert "cannot go on" in message
        self._is_whole(self.fallen, ["AAPL", "IBM"])
        eventually(
            lambda: cluster.get(STOCK_PIPELINE, self.deleted, NAMESPACE) is None,
            "the deletion",
            seconds=PATIENCE,
        )
        assert cluster.release_secrets(self.deleted, NAMESPACE) == []
        for resource in OWNED:
            assert cluster.owned(resource, self.deleted, NAMESPACE) == []
        topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
        assert not [topic for topic in topics if topic.startswith(f"{NAMESPACE}.{self.deleted}.")]
        for name in (self.made, self.upgraded, self.fallen, self.mended):
            assert {f"{NAMESPACE}.{name}.{topic}" for topic in Topic} <= set(topics)

    def clear(self) -> None:
        """Remove what is left."""
        pod = POD.path(NAMESPACE, f"{self.fallen}-detector-pod")
        self._cluster.client.delete(pod)
        for name in (self.made, self.upgraded, self.fallen, self.mended):
            self._cluster.delete(name, NAMESPACE)

    def _runs(self, name: str) -> bool:
        self._cluster.rolled_out(name, NAMESPACE)
        found = self._cluster.condition(name, namespace=NAMESPACE)
        assert found[1] == "Running", found
        return True

    def _reason(self, name: str, reason: str) -> str:
        def look() -> str:
            found = self._cluster.condition(name, namespace=NAMESPACE)
            assert found[1] == reason, found
            return found[2]

        return eventually(look, f"{name} to be {reason}", seconds=PATIENCE)

    def _is_whole(self, name: str, symbols: list[str]) -> None:
        cluster = self._cluster
        assert cluster.config(name, NAMESPACE)["spec"]["universe"]["symbols"] == symbols
        sizes = [one["spec"]["replicas"] for one in cluster.owned(DEPLOYMENT, name, NAMESPACE)]
        assert sizes == [1, 1]
        for resource in (CONFIG_MAP, SERVICE_ACCOUNT, NETWORK_POLICY):
            assert len(cluster.owned(resource, name, NAMESPACE)) == 1
        statuses = [status for _, status in cluster.releases(name, NAMESPACE)]
        assert statuses[-1] == "deployed"
        assert statuses.count("deployed") == 1
        assert len(statuses) <= 5


def kill_at(number: int, what: What) -> Meddling:
    """Kill at the first write from that number on."""

    def meddle(request: Request) -> tuple[What, int]:
        return (what, 0) if request.changes and request.number >= number else (What.PASS, 0)

    return meddle


def test_kills_between_writes(cluster: Cluster, unruly: UnrulyServer, shaken: Operator, kafka: str) -> None:
    chance = random.Random(SEED)
    stories = Stories(cluster, "killed")
    stories.prepare()
    written = len(unruly.seen)
    stories.begin()
    for _ in range(KILLS):
        written += chance.randint(1, 9)
        unruly.killed.clear()
        unruly.meddling = kill_at(written, chance.choice([What.KILL_BEFORE, What.KILL_AFTER]))
        if not unruly.killed.wait(20):
            break  # all is done, and nothing is written any more
        unruly.meddling = leave_alone
        shaken.kill()
        shaken.start()
        unruly.victim = shaken.pid
        written = len(unruly.seen)
    unruly.meddling = leave_alone
    stories.break_down()
    stories.end_well(kafka)
    stories.clear()


class Refusals:
    """Lets one request in six fail, in one of the ways in which they do, until so many have."""

    def __init__(self, seed: int, left: int) -> None:
        self.left = left
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> tuple[What, int]:
        with self._lock:
            if not self.left or "watch=true" in request.path or self._chance.random() > 1 / 6:
                return What.PASS, 0
            self.left -= 1
            what, status = self._chance.choice(WAYS)
            # Nobody reads a conflict of a GET.
            return (what, 500) if status == 409 and not request.changes else (what, status)


def test_requests_that_fail(cluster: Cluster, unruly: UnrulyServer, shaken: Operator, kafka: str) -> None:
    stories = Stories(cluster, "refused")
    stories.prepare()
    # Enough to meet each story, and no more: who fails again and again waits for ever longer.
    unruly.meddling = refusals = Refusals(SEED, 25)
    stories.begin()
    stories.break_down()
    stories.end_well(kafka)
    assert refusals.left == 0
    stories.clear()


def test_fifty_pipelines_are_churned(cluster: Cluster, shaken: Operator, kafka: str) -> None:
    names = [f"churned-{number}" for number in range(50)]
    for name in names:
        cluster.apply(pipeline(name, NAMESPACE, kafka={"partitions": 1}))
    for name in names[::2]:
        cluster.edit(name, {"universe": {"symbols": ["MSFT"]}}, NAMESPACE)
    for name in names[::5]:
        cluster.server.kubectl("delete", "stockpipeline", name, "-n", NAMESPACE, "--wait=false")
    gone = set(names[::5])

    def settled(name: str) -> bool:
        cluster.rolled_out(name, NAMESPACE)
        return cluster.condition(name, namespace=NAMESPACE)[1] == "Running"

    for name in names:
        if name in gone:
            eventually(
                lambda name=name: cluster.get(STOCK_PIPELINE, name, NAMESPACE) is None, name, seconds=PATIENCE
            )
            assert cluster.release_secrets(name, NAMESPACE) == []
        else:
            eventually(lambda name=name: settled(name), f"{name} to run", seconds=PATIENCE)
            symbols = cluster.config(name, NAMESPACE)["spec"]["universe"]["symbols"]
            assert symbols == (["MSFT"] if name in names[::2] else ["AAPL", "IBM"])
            assert len(cluster.owned(DEPLOYMENT, name, NAMESPACE)) == 2
    cluster.server.kubectl("delete", "stockpipelines", "--all", "-n", NAMESPACE, "--wait=false")
    left = STOCK_PIPELINE.path(NAMESPACE)
    eventually(lambda: not list(cluster.client.list(left, metadata_only=True)), "the end", seconds=PATIENCE)
    assert cluster.owned(DEPLOYMENT, names[1], NAMESPACE) == []
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert not [topic for topic in topics if topic.startswith(f"{NAMESPACE}.churned-")]
