"""Changes that wait: for approval, for the exchange's close, for an upgrade of the operator to be accepted.

Whole passes over the cluster in memory; the same against a real API server is in tests/integration/operator.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from stockpipeline.api import Condition, StockPipelineStatus
from stockpipeline_operator.reconcile import base
from stockpipeline_operator.reconcile.reconciler import Reconciler
from tests.unit.operator.cluster_model import PIPELINE, Chart, World, new_pipeline
from tests.unit.operator.test_convergence import (
    DEPLOYMENT,
    FIRST_KAFKA,
    KEY,
    SETTINGS,
    give_up,
    roll_out,
    spec,
)

OPEN = datetime.datetime(2026, 1, 5, 15, tzinfo=UTC)
CLOSE = datetime.datetime(2026, 1, 5, 21, tzinfo=UTC)


class Desk:
    """A user, an operator and a cluster."""

    def __init__(self, **more: Any) -> None:
        self.world = World()
        self.operator(tag="1")
        self._spec = spec(suspend=False, kafka={"bootstrapServers": FIRST_KAFKA}, **more)
        new_pipeline(self.world, self._spec)

    def operator(self, tag: str) -> None:
        """Start an operator of another version."""
        settings = replace(SETTINGS, services_tag=tag)
        self.reconciler = Reconciler(self.world.base(settings), self.world.tools())

    def settle(self) -> float | None:
        """Pass until nothing changes; the last pass must write nothing."""
        for _ in range(3):
            self.reconciler.reconcile(KEY)
            roll_out(self.world)
        writes = self.world.writes
        again = self.reconciler.reconcile(KEY)
        assert self.world.writes == writes, "waiting writes nothing"
        return again

    def edit(self, **more: Any) -> None:
        found = self.world.objects[PIPELINE]
        found["spec"] = {**found["spec"], **more}
        found["metadata"]["generation"] += 1
        self.world.wrote(found)

    def approve(self, digest: str) -> None:
        found = self.world.objects[PIPELINE]
        found["metadata"].setdefault("annotations", {})["stockpipeline.dev/approve"] = digest
        self.world.wrote(found)

    def give_up(self, component: str) -> None:
        give_up(self.world, component)

    @property
    def status(self) -> StockPipelineStatus:
        return StockPipelineStatus.model_validate(self.world.objects[PIPELINE].get("status", {}))

    def condition(self, type_: str) -> Condition:
        return next(one for one in self.status.conditions if one.type == type_)

    @property
    def revision(self) -> int:
        return int(self.world.revisions[-1]["revision"]) if self.world.revisions else 0


def test_a_plan_makes_nothing_before_it_is_approved() -> None:
    desk = Desk(mode="Plan")
    desk.settle()
    assert desk.world.owned() == []
    assert desk.world.topics == {}
    assert desk.condition("Ready").reason == "AwaitingApproval"
    plan = desk.status.plan
    assert plan is not None
    assert {one.kind for one in plan.changes} == {"Topic", "ConfigMap", "Deployment"}

    desk.approve(plan.digest)
    desk.settle()
    assert desk.condition("Ready").reason == "Running"
    assert desk.status.plan is None
    assert desk.revision == 1


def test_an_approval_is_for_one_plan() -> None:
    desk = Desk()
    desk.settle()
    desk.edit(mode="Plan", universe={"symbols": ["IBM"]})
    desk.settle()
    first = desk.status.plan
    assert first is not None
    assert desk.condition("Ready").status == "True", "what runs is ready"

    desk.edit(universe={"symbols": ["MSFT"]})
    desk.approve(first.digest)
    desk.settle()
    assert desk.condition("Ready").reason == "AwaitingApproval"
    assert desk.revision == 1
    second = desk.status.plan
    assert second is not None
    assert second.digest != first.digest

    desk.approve(second.digest)
    desk.settle()
    assert desk.revision == 2


def test_an_approval_holds_once() -> None:
    desk = Desk()
    desk.settle()
    there = {"universe": {"symbols": ["IBM"]}}
    back = {"universe": desk.world.objects[PIPELINE]["spec"]["universe"]}
    desk.edit(mode="Plan", **there)
    desk.settle()
    plan = desk.status.plan
    assert plan is not None
    desk.approve(plan.digest)
    desk.settle()
    desk.edit(mode="Apply", **back)
    desk.settle()
    assert desk.revision == 3

    desk.edit(mode="Plan", **there)
    desk.settle()
    ready = desk.condition("Ready")
    assert ready.reason == "AwaitingApproval", "the annotation of the first time is still there"
    assert f"the approval {plan.digest} is for another plan" in ready.message
    assert desk.revision == 3


def test_what_failed_is_tried_again_only_with_another_approval() -> None:
    desk = Desk()
    desk.settle()
    desk.edit(mode="Plan", universe={"symbols": ["IBM"]})
    desk.settle()
    first = desk.status.plan
    assert first is not None
    desk.approve(first.digest)
    desk.reconciler.reconcile(KEY)
    assert desk.revision == 2
    desk.give_up("detector")
    desk.settle()
    assert desk.revision == 3, "going back needs no approval"
    ready = desk.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "AwaitingApproval")
    assert ready.message.startswith("the last attempt, revision 2, failed: ")
    desk.world.time += datetime.timedelta(days=1)
    desk.settle()
    assert desk.revision == 3

    second = desk.status.plan
    assert second is not None
    assert second.digest != first.digest
    desk.approve(second.digest)
    desk.settle()
    assert desk.revision == 4
    assert desk.condition("Ready").reason == "Running"
    assert desk.status.failed_rollout is None


def test_topics_are_planned_also_when_kafka_came_back_after_the_plan() -> None:
    desk = Desk(mode="Plan")
    desk.world.kafka_away = True
    desk.settle()
    desk.world.kafka_away = False
    desk.settle()
    plan = desk.status.plan
    assert plan is not None
    assert "Topic" in {one.kind for one in plan.changes}
    desk.world.kafka_away = True
    desk.settle()
    assert desk.status.plan == plan


def test_a_plan_can_be_deleted_without_ever_being_approved() -> None:
    desk = Desk(mode="Plan")
    desk.settle()
    found = desk.world.objects[PIPELINE]
    assert "finalizers" not in found["metadata"], "nothing was made, so nothing is held"


def test_restarts_wait_for_the_close() -> None:
    desk = Desk(rollout={"window": "OutsideSession"})
    desk.world.time = OPEN
    desk.settle()
    assert desk.revision == 1, "what does not run yet may start"

    desk.edit(universe={"symbols": ["IBM"]})
    again = desk.settle()
    assert desk.revision == 1
    ready = desk.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "AwaitingClose")
    assert "2026-01-05 21:00 UTC" in ready.message
    assert "restarts demo-producer, demo-detector" in ready.message
    assert again == (CLOSE - OPEN).total_seconds()

    desk.world.time = CLOSE
    desk.settle()
    assert desk.revision == 2
    assert desk.condition("Ready").reason == "Running"


def test_an_approved_plan_waits_for_the_close_and_says_so() -> None:
    desk = Desk(rollout={"window": "OutsideSession"})
    desk.world.time = OPEN
    desk.settle()
    desk.edit(mode="Plan", universe={"symbols": ["IBM"]})
    desk.settle()
    plan = desk.status.plan
    assert plan is not None
    desk.approve(plan.digest)
    desk.settle()
    ready = desk.condition("Ready")
    assert ready.reason == "AwaitingClose"
    assert "waits for the close of XNAS" in ready.message
    assert "kubectl annotate" not in ready.message, "it is approved already"
    desk.world.time = CLOSE
    desk.settle()
    assert desk.revision == 2


def test_what_failed_is_not_forgotten_while_its_next_attempt_waits_for_the_close() -> None:
    desk = Desk(rollout={"window": "OutsideSession"})
    desk.settle()
    desk.edit(universe={"symbols": ["IBM"]})
    desk.reconciler.reconcile(KEY)
    desk.give_up("detector")
    desk.settle()
    desk.world.time = OPEN
    desk.settle()
    assert desk.condition("Ready").reason == "AwaitingClose"
    failed = desk.status.failed_rollout
    assert failed is not None
    assert failed.attempts == 1


def test_what_restarts_nothing_does_not_wait() -> None:
    desk = Desk(rollout={"window": "OutsideSession"})
    desk.world.time = OPEN
    desk.settle()
    desk.edit(suspend=True)
    desk.settle()
    assert desk.condition("Ready").reason == "Suspended"


def test_a_failing_pipeline_is_repaired_while_the_exchange_is_open() -> None:
    desk = Desk(rollout={"window": "OutsideSession"})
    desk.world.time = OPEN
    desk.settle()
    desk.world.objects[DEPLOYMENT + "detector"]["status"]["readyReplicas"] = 0
    desk.edit(universe={"symbols": ["IBM"]})
    desk.reconciler.reconcile(KEY)
    assert desk.revision == 2


@pytest.fixture
def kept_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's chart is no Helm chart; what Helm keeps of one is tested in test_choose."""
    monkeypatch.setattr(base, "_chart", lambda _stored, identity: Chart(identity))


@pytest.mark.usefixtures("kept_chart")
def test_an_upgraded_operator_changes_nothing_by_itself() -> None:
    desk = Desk()
    desk.settle()
    assert desk.condition("UpgradeAvailable").status == "False"
    made = desk.world.revisions[-1]

    desk.operator(tag="2")
    desk.settle()
    assert desk.world.revisions[-1] == made
    held = desk.condition("UpgradeAvailable")
    assert (held.status, held.reason) == ("True", "Held")
    assert "services:2" in held.message
    assert desk.condition("Ready").reason == "Running"

    desk.edit(universe={"symbols": ["IBM"]})
    desk.settle()
    assert desk.revision == 2
    assert desk.world.revisions[-1]["base"] == made["base"], "the change is made with what was kept"
    assert desk.condition("UpgradeAvailable").status == "True"

    plan = desk.status.plan
    assert plan is not None
    assert plan.digest in desk.condition("UpgradeAvailable").message
    desk.approve(plan.digest)
    desk.settle()
    assert desk.revision == 3
    assert desk.world.revisions[-1]["base"] != made["base"]
    assert desk.condition("UpgradeAvailable").status == "False"
    assert desk.status.plan is None


def test_an_upgrade_is_taken_where_the_spec_says_so() -> None:
    desk = Desk(upgradePolicy="Auto", rollout={"window": "OutsideSession"})
    desk.settle()
    desk.operator(tag="2")
    desk.settle()
    assert desk.revision == 2
    assert desk.condition("UpgradeAvailable").status == "False"
