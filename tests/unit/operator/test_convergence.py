"""Any sequence of edits, drifts, kills and failures ends in what the spec asks for, with nothing doubled.

The operator's own code runs over a cluster in memory (`cluster_model`); hypothesis looks for a sequence after
which it does not.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from stockpipeline.api import FINALIZER, PipelineNames
from stockpipeline_operator.helm.releases import HelmFailure
from stockpipeline_operator.kube.client import ApiUnreachable
from stockpipeline_operator.reconcile import keys
from stockpipeline_operator.reconcile.reconciler import Reconciler, Retry
from stockpipeline_operator.settings import Settings
from tests.unit.operator.cluster_model import (
    COMPONENTS,
    PIPELINE,
    Chart,
    Killed,
    World,
    delete_pipeline,
    fields,
    new_pipeline,
    path_of,
    refused,
)

KEY = ("default", "demo")
NAMES = PipelineNames(*KEY)
FIRST_KAFKA, SECOND_KAFKA = "first:9092", "second:9092"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/demo-"
DEADLINE_SECONDS = 300.0
SETTINGS = Settings.from_environment(
    {
        f"STOCKPIPELINE_OPERATOR_{name}": value
        for name, value in {
            "CHART": str(Path(__file__).parent),
            "SERVICES_REPOSITORY": "services",
            "SERVICES_TAG": "1",
            "KAFKA_BOOTSTRAP_SERVERS": FIRST_KAFKA,
            "REDIS_URL": "redis://redis:6379/0",
            "LEASE": "system/operator",
        }.items()
    }
)
FAILURES: list[Callable[[], BaseException]] = [
    Killed,
    lambda: refused(409, "the object has been modified"),
    lambda: refused(429, "too many requests"),
    lambda: refused(500, "etcdserver: request timed out"),
    lambda: ApiUnreachable(0, "the API server does not answer"),
    lambda: HelmFailure("context deadline exceeded"),
]
# So long that every lock, contest and backoff has ended.
AGES = datetime.timedelta(hours=7)


def spec(symbols: tuple[str, ...] = ("AAPL",), **more: Any) -> dict[str, Any]:
    source = {"name": "replay", "replay": {"start": "2004-01-02"}}
    return {"universe": {"symbols": list(symbols)}, "sources": [source], **more}


class Process:
    """One life of the operator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.start()

    def start(self) -> None:
        """Nothing is known of what was before."""
        self._tools = self._world.tools()
        self._tools.inventory.fill(())
        self.reconciler = Reconciler(self._world.base(SETTINGS), self._tools)

    def hear(self) -> None:
        """The watch tells that something of the pipeline has changed."""
        self._tools.inventory.forget(KEY)

    def look(self) -> bool:
        """One pass; False if the process was killed in it."""
        try:
            self.reconciler.reconcile(KEY)
        except Retry:
            pass
        except Killed:
            self.start()
            return False
        return True


class Pipelines(RuleBasedStateMachine):
    """What users, others, accidents and the operator do to one pipeline."""

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.process = Process(self.world)

    @property
    def resource(self) -> dict[str, Any] | None:
        return self.world.objects.get(PIPELINE)

    @rule(
        symbols=st.sampled_from([("AAPL",), ("IBM",), ("AAPL", "IBM")]),
        suspend=st.booleans(),
        broken=st.booleans(),
        kafka=st.sampled_from([FIRST_KAFKA, SECOND_KAFKA]),
    )
    def apply(self, symbols: tuple[str, ...], suspend: bool, broken: bool, kafka: str) -> None:
        more: dict[str, Any] = {"suspend": suspend, "kafka": {"bootstrapServers": kafka}}
        if broken:
            more["rules"] = [{"name": "bad", "side": "buy", "when": "rsi14 <"}]
        wanted = spec(symbols, **more)
        found = self.resource
        if found is None:
            new_pipeline(self.world, wanted)
        elif found["spec"] != wanted:
            found["spec"] = wanted
            found["metadata"]["generation"] += 1
            self.world.wrote(found)

    @rule()
    def delete(self) -> None:
        delete_pipeline(self.world)

    @rule()
    def look(self) -> None:
        self.process.look()

    @rule(failure=st.sampled_from(FAILURES), steps=st.integers(0, 40))
    def something_happens_in_a_pass(self, failure: Callable[[], BaseException], steps: int) -> None:
        self.world.failure, self.world.failure_in = failure, steps
        self.process.look()
        self.world.failure = None

    @precondition(lambda self: self.world.owned())
    @rule(data=st.data())
    def somebody_deletes_an_object(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from([path_of(one) for one in self.world.owned()]))
        del self.world.objects[path]
        self.process.hear()

    @precondition(lambda self: self.world.owned())
    @rule(data=st.data())
    def somebody_edits_an_object(self, data: st.DataObject) -> None:
        found = data.draw(st.sampled_from(self.world.owned()))
        edit(self.world, found, "kubectl-edit")
        self.process.hear()

    @rule()
    def the_operator_starts_anew(self) -> None:
        self.process.start()

    @rule()
    def kubernetes_rolls_out(self) -> None:
        roll_out(self.world)
        self.process.hear()

    @rule(component=st.sampled_from(COMPONENTS))
    def kubernetes_gives_up(self, component: str) -> None:
        give_up(self.world, component)
        self.process.hear()

    @rule(away=st.booleans())
    def kafka_goes_or_comes(self, away: bool) -> None:
        self.world.kafka_away = away

    @rule(seconds=st.sampled_from([1, 15, 700, 30_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.time += datetime.timedelta(seconds=seconds)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            settle(self.world, self.process)
            check(self.world)
            writes = self.world.writes
            for _ in range(2):
                assert self.process.look()
            assert self.world.writes == writes, "a pass over what is settled writes nothing"


def edit(world: World, found: dict[str, Any], manager: str) -> None:
    """Change a field that the operator applied, as `kubectl edit` does."""
    part, name = ("data", "pipeline.json") if found["kind"] == "ConfigMap" else ("spec", "replicas")
    found[part][name] = "edited" if part == "data" else 7
    for entry in found["metadata"]["managedFields"]:
        members = entry["fieldsV1"].get(f"f:{part}", {})
        if members.pop(f"f:{name}", None) is not None and not members:
            del entry["fieldsV1"][f"f:{part}"]  # a field without a tree would be owned as a whole
    change = {"manager": manager, "operation": "Update", "fieldsV1": fields({part: {name: 0}})}
    found["metadata"]["managedFields"].append(change)
    if part == "spec":
        found["metadata"]["generation"] += 1
    world.wrote(found)


def roll_out(world: World) -> None:
    """All Deployments become ready."""
    for component in COMPONENTS:
        found = world.objects.get(DEPLOYMENT + component)
        if found is not None:
            counts = dict.fromkeys(
                ("replicas", "readyReplicas", "updatedReplicas"), found["spec"]["replicas"]
            )
            found["status"] = {"observedGeneration": found["metadata"]["generation"], **counts}


def give_up(world: World, component: str) -> None:
    """A Deployment's progress deadline passes."""
    world.time += datetime.timedelta(seconds=1)
    found = world.objects.get(DEPLOYMENT + component)
    if found is not None:
        condition = {
            "type": "Progressing",
            "reason": "ProgressDeadlineExceeded",
            "lastUpdateTime": world.stamp(),
        }
        generation = found["metadata"]["generation"]
        found["status"] = {"observedGeneration": generation, "replicas": 1, "conditions": [condition]}


# What was tried in vain again and again after a deletion's deadline is left behind, and said.
GIVEN_UP = {"ReleaseNotRemoved", "KafkaNotCleaned"}


def settle(world: World, process: Process) -> None:
    """Everything works again, and enough time passes."""
    world.failure, world.kafka_away = None, False
    for _ in range(4):
        world.time += AGES
        for _ in range(2):
            process.look()
            roll_out(world)
            process.hear()


def check(world: World) -> None:
    """What must be true in the end."""
    found = world.objects.get(PIPELINE)
    if found is None or "deletionTimestamp" in found["metadata"]:
        assert found is None, "nothing holds a deletion for ever"
        # What fails after the deadline is left behind, and users are told.
        if "ReleaseNotRemoved" not in world.events:
            assert world.owned() == []
            assert world.revisions == []
        if "KafkaNotCleaned" not in world.events:
            assert not any(world.topics.values()), "topics go wherever they were made"
        return
    conditions = {one["type"]: one for one in found["status"]["conditions"]}
    reason = conditions["Ready"]["reason"]
    statuses = [one["status"] for one in world.revisions]
    assert statuses.count("deployed") <= 1
    assert len(statuses) <= 5
    if "rules" in found["spec"]:
        assert reason == "InvalidRule"
        return
    assert FINALIZER in found["metadata"]["finalizers"]
    assert reason == ("Suspended" if found["spec"]["suspend"] else "Running"), conditions["Ready"]
    assert conditions["Drifted"]["status"] == "False"
    assert statuses[-1] == "deployed"
    assert found["status"]["release"]["digest"] == world.revisions[-1]["digest"]
    config = world.objects["/api/v1/namespaces/default/configmaps/demo-config"]["data"]["pipeline.json"]
    for symbol in ("AAPL", "IBM"):
        assert (f'"{symbol}"' in config) is (symbol in found["spec"]["universe"]["symbols"])
    assert len(world.owned()) == 1 + len(COMPONENTS), "nothing is missing, nothing is doubled"
    for component in COMPONENTS:
        live = world.objects[DEPLOYMENT + component]["spec"]
        template = {"config": config, "image": "1"}
        assert live == {"replicas": 0 if found["spec"]["suspend"] else 1, "template": template}
    if not found["spec"]["suspend"]:
        assert set(world.topics[found["spec"]["kafka"]["bootstrapServers"]]) == set(NAMES.topics.values())


@pytest.fixture(autouse=True)
def redis_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is the one thing that the model leaves out: its keys are deleted or not."""
    monkeypatch.setattr(keys, "delete_keys", lambda *_: 0)


TestPipelines = Pipelines.TestCase
TestPipelines.settings = settings(
    # The same sequences each time, but for who goes hunting: STOCKPIPELINE_TEST_EXPLORE=1.
    derandomize="STOCKPIPELINE_TEST_EXPLORE" not in os.environ,
    max_examples=300,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def started() -> tuple[World, Process]:
    """A pipeline that runs well."""
    world = World()
    process = Process(world)
    new_pipeline(world, spec(suspend=False, kafka={"bootstrapServers": FIRST_KAFKA}))
    process.look()
    roll_out(world)
    process.look()
    check(world)
    return world, process


def change(world: World, symbols: tuple[str, ...], **more: Any) -> None:
    found = world.objects[PIPELINE]
    found["spec"] = spec(symbols, suspend=False, kafka={"bootstrapServers": FIRST_KAFKA}) | more
    found["metadata"]["generation"] += 1
    world.wrote(found)


def stride(failure: Callable[[], BaseException]) -> int:
    """A kill is put at every boundary; requests fail at every third, of which the state machine tries all."""
    return 1 if failure is Killed else 3


SCENES: dict[str, Callable[[World], None]] = {
    "upgrade": lambda world: change(world, ("IBM",)),
    "delete": delete_pipeline,
    "another Kafka": lambda world: change(world, ("IBM",), kafka={"bootstrapServers": SECOND_KAFKA}),
    "correction": lambda world: edit(world, world.objects[DEPLOYMENT + "producer"], "kubectl"),
}


@pytest.mark.parametrize(
    ("scene", "failure"),
    # An edit is put right without Helm.
    [(scene, one) for scene in SCENES for one in FAILURES[: -1 if scene == "correction" else None]],
)
def test_a_failure_at_every_boundary_of(scene: str, failure: Callable[[], BaseException]) -> None:
    for boundary in range(0, 200, stride(failure)):
        world, process = started()
        SCENES[scene](world)
        world.failure, world.failure_in = failure, boundary
        process.look()
        reached = world.failure is None
        settle(world, process)
        check(world)
        if not reached:
            assert boundary > 5, "the failure was really put between the steps"
            return
    raise AssertionError("the pass never ends")


@pytest.mark.parametrize("failure", FAILURES, ids=["kill", "409", "429", "500", "silence", "helm"])
def test_a_failure_at_every_boundary_of_a_rollback(failure: Callable[[], BaseException]) -> None:
    for boundary in range(0, 200, stride(failure)):
        world, process = started()
        change(world, ("IBM",))
        process.look()
        give_up(world, "producer")
        world.failure, world.failure_in = failure, boundary
        process.look()
        reached = world.failure is None
        world.failure = None
        for _ in range(4):
            world.time += datetime.timedelta(seconds=30)
            process.look()
        reason = world.objects[PIPELINE]["status"]["conditions"][0]["reason"]
        assert reason == "RolledBack", "it goes back in the end, and stays there"
        assert len([one for one in world.revisions if one["status"] == "deployed"]) == 1
        if not reached:
            assert boundary > 5
            return
    raise AssertionError("the pass never ends")


def test_a_deletion_that_begins_after_its_deadline_is_not_given_up_at_the_first_failure() -> None:
    for boundary in range(40):
        world, process = started()
        delete_pipeline(world)
        world.time += AGES
        world.failure, world.failure_in = (lambda: refused(500, "internal error")), boundary
        process.look()
        reached = world.failure is None
        settle(world, process)
        check(world)
        assert not GIVEN_UP & set(world.events)
        if not reached:
            assert boundary > 5, "the failure was really put between the steps"
            return
    raise AssertionError("the pass never ends")


def test_a_deletion_that_goes_on_failing_is_given_up_and_says_so() -> None:
    world, process = started()
    delete_pipeline(world)
    world.time += AGES
    world.kafka_away = True
    for _ in range(3):
        assert PIPELINE in world.objects
        process.look()
    process.look()
    assert PIPELINE not in world.objects
    assert "KafkaNotCleaned" in world.events


def test_an_edit_between_the_look_and_the_upgrade_is_taken_back() -> None:
    world, process = started()
    change(world, ("IBM",))
    tools = world.tools()
    upgrade = tools.releases.upgrade

    def meddled(*arguments: Any) -> int:
        if "meddled" not in world.events:
            world.events.append("meddled")
            edit(world, world.objects[DEPLOYMENT + "producer"], "kubectl")
        return upgrade(*arguments)

    tools.releases.upgrade = meddled  # type: ignore[method-assign]
    process.reconciler = Reconciler(world.base(SETTINGS), tools)
    process.look()
    settle(world, process)
    check(world)
    assert "EditsOverwritten" in world.events


def test_what_a_deletion_cannot_see_holds_it_until_its_deadline_and_is_told() -> None:
    world, process = started()
    delete_pipeline(world)
    tools = world.tools()

    def refuse(*_: Any) -> Any:
        raise refused(403, "secrets is forbidden")

    tools.releases.history = refuse  # type: ignore[method-assign]
    process.reconciler = Reconciler(world.base(SETTINGS), tools)
    for _ in range(3):
        process.look()
    assert PIPELINE in world.objects
    assert "ReleaseNotRemoved" not in world.events
    world.time += datetime.timedelta(seconds=DEADLINE_SECONDS + 1)
    process.look()
    assert PIPELINE not in world.objects
    assert "ReleaseNotRemoved" in world.events


def test_the_model_renders_what_the_operator_compares() -> None:
    """The model itself must be able to fail a test: an object that is not put right is seen."""
    world, _ = started()
    edit(world, world.objects[DEPLOYMENT + "producer"], "kubectl")
    with pytest.raises(AssertionError):
        check(world)
    assert (
        len(Chart().render({"config": "{}", "suspend": False, "image": {"tag": "1"}}, "demo", "default")) == 3
    )
