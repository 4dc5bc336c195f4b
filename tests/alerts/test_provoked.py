"""Alerts that are provoked for real, and arrive at a webhook; with the durations of the shipped rules.

All trouble is made at the same time, each to pipelines of its own, beside pipelines that are well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster.deploy import BACKENDS_NAMESPACE, SYSTEM_NAMESPACE
from tests.alerts import market
from tests.alerts.provocations import (
    DESK,
    ELSEWHERE,
    PROVOCATIONS,
    SECOND,
    TIGHT,
    Desk,
    detector_back,
    operator_gone,
    redis_gone,
    source_back,
    store_mended,
)
from tests.alerts.webhook import Webhook
from tests.e2e.conftest import Deployment

# The slowest look back ten minutes and wait for five, or wait for fifteen; before that, pods start.
FIRE_SECONDS = 26 * 60
END_SECONDS = 10 * 60
OTHER = "alerts-other"
# One beside those in trouble, and one with the name of one that is.
NEIGHBOURS = ((DESK, "healthy"), (OTHER, "quiet"))

pytestmark = pytest.mark.timeout(FIRE_SECONDS + 2 * END_SECONDS)


@dataclass(frozen=True)
class Case:
    """An alert, and what tells whom it is about."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    made_by: str = ""
    """The key of what provokes it."""
    pod: str = ""
    """How the name of its pod begins."""

    @property
    def full_name(self) -> str:
        return f"StockPipeline{self.name}"


def of(pipeline: str, *names: str, **labels: str) -> list[Case]:
    return [Case(name, {"namespace": DESK, "pipeline": pipeline, **labels}, pipeline) for name in names]


CASES = [
    *of("quiet", "AllSourcesDown", "SymbolsStale", "Silent"),
    *of("quiet", "SourceDown", source="kis"),
    *of("quiet", "FreshnessBurn", severity="critical"),
    *of("garbled", "DeadLetters", "RateLimited"),
    *of("starved", "LagGrowing"),
    *of("starved", "ProcessingBurn", "LatencyBurn", severity="critical"),
    *of("cut", "DetectorStuck"),
    *of("shuffled", "Rebalancing"),
    *of("torn", "StoreRecordsRefused", topic="signals"),
    *of("torn", "StoreDeliveryRefused", "ReplicaVerifyFailed"),
    *of("torn", "StorePublishFailing", "ReplicaPullFailing", "ReplicaStale"),
    *of("late", "StoreRecordsLost"),
    *of("late", "StoreDiskFull"),
    *of("contested", "DriftContested"),
    *of("nowhere", "NotReady"),
    *of("broken", "Stalled"),
    *of("failed", "BatchFailed"),
    *of("thin", "CoverageTooLow"),
    Case("TargetDown", {"namespace": DESK, "component": "detector"}, "crashing", "crashing-detector-"),
    Case("Restarting", {"namespace": DESK, "component": "producer"}, "crashing", "crashing-producer-"),
    Case("HelmFailures", {"namespace": SYSTEM_NAMESPACE, "operation": "upgrade"}, "refused"),
    Case("OperatorLeaderless", {"namespace": SECOND}, "second"),
    Case("BackendDown", {"namespace": BACKENDS_NAMESPACE, "component": "kafka"}, "servers"),
    Case("RedisMemoryFull", {"namespace": BACKENDS_NAMESPACE}, "servers"),
]
AT_THE_END = [Case("OperatorAbsent"), Case("RedisDown", {"namespace": BACKENDS_NAMESPACE})]
RESOLVED = [
    *of("quiet", "AllSourcesDown", "SymbolsStale"),
    *of("cut", "DetectorStuck"),
    *of("torn", "ReplicaStale"),
]


class Trouble:
    """All that was made, and what failed of the making."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.deadline = time.monotonic() + FIRE_SECONDS
        self._pool = ThreadPoolExecutor(len(PROVOCATIONS))
        self._made = {key: self._pool.submit(provoke, desk) for key, provoke in PROVOCATIONS.items()}

    def check(self, *keys: str) -> None:
        """Raise what kept trouble from being made."""
        for key in keys or self._made:
            if self._made[key].done():
                self._made[key].result()

    def end(self) -> None:
        self.desk.over.set()
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def trouble(deployment: Deployment, told: Webhook) -> Iterator[Trouble]:
    """Trouble of all kinds, which began just now."""
    assert told
    desk = Desk(deployment)
    for namespace in (DESK, OTHER, TIGHT, SECOND, ELSEWHERE):
        deployment.kubectl("create", "namespace", namespace)
    items = market.manifests(deployment.services_image(), DESK, desk.ahead)
    deployment.kubectl(
        "apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    stored: dict[str, Any] = {"store": {"size": "1Gi"}, "replicaSync": {"replicas": 1}}
    for namespace, name in NEIGHBOURS:
        desk.apply(name, namespace, **(stored if name == "healthy" else {}))
    for namespace, name in NEIGHBOURS:
        desk.ready(name, namespace)
    # Its ticks would only take processor from the others.
    deployment.kubectl("delete", "stockpipeline", "demo", "--namespace", "default", "--timeout=90s")
    made = Trouble(desk)
    try:
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_alert_arrives(case: Case, trouble: Trouble, told: Webhook) -> None:
    alert = told.wait(
        case.full_name, "firing", case.labels, trouble.deadline, lambda: trouble.check(case.made_by)
    )
    assert alert["labels"].get("pod", "").startswith(case.pod)
    assert alert["annotations"]["summary"]
    assert f"docs/runbooks/{case.full_name}.md" in alert["annotations"]["runbook_url"]
    if "pipeline" in case.labels:
        assert case.labels["pipeline"] in alert["annotations"]["description"]
        assert f"var-pipeline={case.labels['pipeline']}" in alert["annotations"]["dashboard_url"]


def test_neighbours_that_are_well_are_told_nothing_of(trouble: Trouble, told: Webhook) -> None:
    trouble.check()
    for namespace, name in NEIGHBOURS:
        about = [
            one["labels"]
            for one in told.alerts()
            if one["labels"].get("namespace") == namespace
            and (one["labels"].get("pipeline") == name or one["labels"].get("pod", "").startswith(f"{name}-"))
        ]
        assert about == [], f"{namespace}/{name} is well"


@pytest.fixture(scope="session")
def ended(trouble: Trouble) -> float:
    """What can be mended is; the operator and Redis go. Returns the deadline for what follows from that."""
    for change in (source_back, detector_back, store_mended, operator_gone, redis_gone):
        change(trouble.desk)
    return time.monotonic() + END_SECONDS


@pytest.mark.parametrize("case", RESOLVED, ids=lambda case: case.name)
def test_its_end_is_told(case: Case, ended: float, told: Webhook) -> None:
    told.wait(case.full_name, "resolved", case.labels, ended)


@pytest.mark.parametrize("case", AT_THE_END, ids=lambda case: case.name)
def test_an_alert_on_what_all_need_arrives(case: Case, ended: float, told: Webhook) -> None:
    told.wait(case.full_name, "firing", case.labels, ended)
