"""What a pipeline is rendered with after the operator was upgraded, and what is said of it."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from stockpipeline.api import Plan, PlannedAction, PlannedChange, PlanReason
from stockpipeline_operator.helm.chart import PipelineChart
from stockpipeline_operator.helm.releases import HelmReleases
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.changes import plan_digest
from stockpipeline_operator.reconcile.choose import Chooser, takes_newest
from stockpipeline_operator.reconcile.decide import Rest
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Observed, Release, ReleaseStatus, Workload
from stockpipeline_operator.reconcile.verdict import judge
from stockpipeline_operator.reconcile.waiting import summary, upgrade_available, waiting_sentence
from tests.unit.operator.test_values import CHART, settings

OLD = Base(settings(SERVICES_TAG="1"), PipelineChart(CHART))
NEW = Base(settings(SERVICES_TAG="2"), PipelineChart(CHART))


def resource(generation: int = 1, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "demo",
            "namespace": "desk",
            "uid": "uid",
            "generation": generation,
            "annotations": annotations or {},
        },
        "spec": {
            "universe": {"symbols": ["IBM"]},
            "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
            **spec,
        },
    }


def release_of(base: Base, body: dict[str, Any], status: ReleaseStatus = ReleaseStatus.DEPLOYED) -> Release:
    made = Pipeline.of(body, base)
    generation = body["metadata"]["generation"]
    return Release("demo", 1, status, made.digest, "uid", base=base.digest, generation=generation)


class Stored(HelmReleases):
    """A release as Helm keeps it; counts how often it is looked into."""

    def __init__(self, base: Base) -> None:
        self.reads = 0
        files = {str(path.relative_to(CHART)): path for path in CHART.rglob("*") if path.is_file()}
        templates = [
            {"name": name, "data": base64.b64encode(path.read_bytes()).decode()}
            for name, path in files.items()
            if name.startswith("templates/")
        ]
        self._content = {
            "config": {"base": base.values},
            "chart": {
                "metadata": yaml.safe_load(files["Chart.yaml"].read_text()),
                "values": yaml.safe_load(files["values.yaml"].read_text()),
                "schema": base64.b64encode(files["values.schema.json"].read_bytes()).decode(),
                "templates": templates,
                "files": [],
            },
        }

    def stored(self, namespace: str, release: Release) -> dict[str, Any]:
        self.reads += 1
        return self._content


def test_a_base_survives_in_a_release() -> None:
    found = Base.of_release(Stored(OLD).stored("desk", release_of(OLD, resource())), NEW.settings)
    assert found.digest == OLD.digest != NEW.digest
    ours, theirs = Pipeline.of(resource(), OLD), Pipeline.of(resource(), found)
    assert theirs.digest == ours.digest
    rendered = [one.base.chart.render(one.values, "demo", "desk") for one in (ours, theirs)]
    assert rendered[0] == rendered[1]


def test_nothing_is_looked_into_while_the_spec_is_the_same() -> None:
    releases = Stored(OLD)
    choice = Chooser(releases).choose(Pipeline.of(resource(), NEW), release_of(OLD, resource()))
    assert choice.pipeline.digest == Pipeline.of(resource(), OLD).digest
    assert choice.held is not None
    assert choice.held.digest == Pipeline.of(resource(), NEW).digest
    assert releases.reads == 0


def test_a_changed_spec_is_rendered_with_what_the_release_was_made_with() -> None:
    changed = resource(2, universe={"symbols": ["IBM", "AAPL"]})
    choice = Chooser(Stored(OLD)).choose(Pipeline.of(changed, NEW), release_of(OLD, resource()))
    assert choice.pipeline.digest == Pipeline.of(changed, OLD).digest
    assert choice.pipeline.values["image"]["tag"] == "1"
    assert choice.held is not None


def test_a_spec_that_changes_nothing_in_the_release_is_looked_into_once() -> None:
    releases = Stored(OLD)
    chooser = Chooser(releases)
    changed = Pipeline.of(resource(2, deletionPolicy="Retain"), NEW)
    for _ in range(3):
        choice = chooser.choose(changed, release_of(OLD, resource()))
        assert choice.pipeline.digest == release_of(OLD, resource()).digest
    assert releases.reads == 1
    chooser.forget(changed.key)
    chooser.choose(changed, release_of(OLD, resource()))
    assert releases.reads == 2


def test_what_the_kept_chart_cannot_do_is_said() -> None:
    releases = Stored(OLD)
    schema = b'{"type": "object", "additionalProperties": false, "properties": {"config": {}}}'
    releases._content["chart"]["schema"] = base64.b64encode(schema).decode()
    changed = Pipeline.of(resource(2, suspend=True), NEW)
    choice = Chooser(releases).choose(changed, release_of(OLD, resource()))
    (problem,) = choice.pipeline.problems
    assert problem.reason == "NeedsUpgrade"
    assert "accept the upgrade" in problem.message


def test_an_upgrade_is_taken_where_it_may_be() -> None:
    old, new = release_of(OLD, resource()), Pipeline.of(resource(), NEW)
    approved = resource(annotations={"stockpipeline.dev/approve": plan_digest(old, new.digest)})
    assert not takes_newest(new, old)
    assert takes_newest(Pipeline.of(approved, NEW), old)
    assert takes_newest(Pipeline.of(resource(upgradePolicy="Auto"), NEW), old)
    assert takes_newest(new, None)
    assert takes_newest(new, release_of(NEW, resource()))
    assert takes_newest(new, replace(old, base="")), "one that cannot be made again"


@pytest.mark.parametrize(
    ("now", "closes"),
    [("2026-11-23T15:00:00Z", "2026-11-23T21:00:00Z"), ("2026-11-23T22:00:00Z", None)],
)
def test_restarts_wait_only_while_the_exchange_is_open(now: str, closes: str | None) -> None:
    body = resource(rollout={"window": "OutsideSession"})
    desired = Pipeline.of(body, NEW).desired(datetime.fromisoformat(now), 300)
    assert desired.session_closes == (datetime.fromisoformat(closes) if closes else None)
    assert Pipeline.of(resource(), NEW).desired(datetime.fromisoformat(now), 300).session_closes is None


PLAN = Plan(
    digest="d",
    reason=PlanReason.WINDOW,
    changes=(
        PlannedChange(action=PlannedAction.CREATE, kind="Topic", name="t"),
        PlannedChange(action=PlannedAction.CHANGE, kind="Deployment", name="demo-producer", restarts=True),
    ),
)


def test_a_change_that_waits_says_for_what_and_until_when() -> None:
    pipeline = Pipeline.of(resource(rollout={"window": "OutsideSession"}), NEW)
    desired = pipeline.desired(datetime(2026, 11, 23, 15, tzinfo=UTC), 300)
    running = Workload("producer", "demo-producer", desired=1, ready=1, current=True)
    observed = Observed(workloads=(running,))
    waiting = waiting_sentence(pipeline, PLAN)
    verdict = judge(desired, observed, Rest.OUT_OF_WINDOW, {}, waiting=waiting)
    assert verdict.message == (
        "a change that creates 1, changes 1, restarts demo-producer waits for the close of XNAS: "
        "at 2026-11-23 21:00 UTC"
    )
    assert (verdict.reason, verdict.ready, verdict.reconciling) == ("AwaitingClose", True, True)


def test_a_plan_is_summed_up() -> None:
    assert summary(Plan(digest="d", reason=PlanReason.MODE)) == "changes no object"
    assert summary(PLAN.model_copy(update={"more_changes": 3})) == (
        "creates 1, changes 1, touches 3 more, restarts demo-producer"
    )


def test_an_upgrade_that_could_not_be_looked_at_stays_as_it_was_reported() -> None:
    held, release = Pipeline.of(resource(), NEW), release_of(OLD, resource())
    found = upgrade_available(held, held, Observed(release=release), None)
    assert (found.holds, found.reason) == (True, "Held")
    condition = {
        "type": "UpgradeAvailable", "status": "True", "reason": "Held", "message": found.message,
        "lastTransitionTime": "2026-11-23T15:00:00Z",
    }  # fmt: skip
    body = resource() | {"status": {"conditions": [condition]}}
    again = upgrade_available(Pipeline.of(body, NEW), None, None, None)
    assert again == found
