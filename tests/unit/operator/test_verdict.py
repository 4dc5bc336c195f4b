"""What the conditions say."""

from __future__ import annotations

import datetime

from stockpipeline.api import Condition, FailedRollout
from stockpipeline_operator.reconcile.decide import Rest
from stockpipeline_operator.reconcile.state import (
    Contest,
    Desired,
    Observed,
    Problem,
    Release,
    ReleaseStatus,
    Topics,
    Workload,
)
from stockpipeline_operator.reconcile.verdict import Verdict, conditions, drifted, failed, judge, summary

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(minutes=1)
RELEASE = Release("demo", 3, ReleaseStatus.DEPLOYED, "digest")


def worker(component: str, ready: int, *, current: bool = True) -> Workload:
    after = ("producer",) if component == "detector" else ()
    return Workload(component, f"demo-{component}", 1, ready, current, after=after)


def judged(rest: Rest = Rest.SETTLED, *workloads: Workload, desired: Desired | None = None) -> Verdict:
    observed = Observed(release=RELEASE, workloads=workloads)
    return judge(
        desired or Desired("digest"), observed, rest, {"detector": "container detector waits: ErrImagePull"}
    )


def test_all_ready() -> None:
    verdict = judged(Rest.SETTLED, worker("producer", 1), worker("detector", 1))
    assert verdict == Verdict("Running", "all workloads are ready: producer 1/1, detector 1/1", ready=True)


def test_a_workload_that_does_not_start_says_why() -> None:
    verdict = judged(Rest.SETTLED, worker("producer", 1), worker("detector", 0))
    assert verdict.reason == "WorkloadsStarting"
    assert verdict.reconciling
    assert verdict.message == "detector 0/1 ready (container detector waits: ErrImagePull)"


def test_pods_of_the_earlier_version_do_not_count() -> None:
    verdict = judged(Rest.SETTLED, worker("producer", 1, current=False))
    assert not verdict.ready
    assert verdict.message == "producer: the newest version is being rolled out"


def test_problems_are_all_listed_and_what_runs_is_named() -> None:
    desired = Desired("", (Problem("InvalidRule", "one"), Problem("InvalidRule", "two")))
    verdict = judged(Rest.STALLED, desired=desired)
    assert (verdict.reason, verdict.stalled) == ("InvalidRule", True)
    assert verdict.message == "one; two; revision 3, made from an earlier spec, is kept as it is"


def test_other_topics_are_no_reason_to_change_what_cannot_change() -> None:
    observed = Observed(topics=Topics(mismatched=("topic a.b.ticks has 2 partitions",)))
    verdict = judge(Desired("digest"), observed, Rest.STALLED, {})
    assert verdict.reason == "TopicMismatch"
    assert "change" not in verdict.message, "the API server refuses another number of partitions"
    assert "delete the topics" in verdict.message
    assert "make it anew" in verdict.message


def test_suspended_is_neither_ready_nor_trouble() -> None:
    verdict = judged(Rest.SETTLED, worker("producer", 0), desired=Desired("digest", suspended=True))
    assert (verdict.reason, verdict.ready, verdict.reconciling, verdict.stalled) == (
        "Suspended",
        False,
        False,
        False,
    )


def test_a_workload_that_waits_for_a_troubled_one_is_blocked_by_it() -> None:
    troubles = {"producer": "container history ended with exit code 1"}
    observed = Observed(release=RELEASE, workloads=(worker("detector", 0), worker("producer", 0)))
    verdict = judge(Desired("digest"), observed, Rest.SETTLED, troubles)
    assert verdict.reason == "Blocked"
    assert verdict.message.startswith("detector waits for producer: producer 0/1 ready (container history")


def test_a_rollout_that_failed_with_nothing_to_go_back_to_waits_for_the_user() -> None:
    observed = Observed(release=RELEASE, workloads=(worker("producer", 0),), failure="producer 0/1 ready")
    verdict = judge(Desired("digest"), observed, Rest.SETTLED, {})
    assert (verdict.reason, verdict.stalled) == ("RolloutFailed", True)
    assert "correct the spec" in verdict.message


def test_going_back_says_what_failed_and_when_it_is_tried_again() -> None:
    failed = FailedRollout(digest="new", revision=2, message="no image", attempts=2, retry_at=LATER)
    observed = Observed(release=RELEASE, workloads=(worker("producer", 1),))
    verdict = judge(Desired("new"), observed, Rest.ROLLED_BACK, {}, failed)
    assert (verdict.reason, verdict.ready, verdict.stalled) == ("RolledBack", False, True)
    assert verdict.message == (
        "revision 2 failed: no image. Revision 3, made from the last good one, runs instead. Correct the "
        "spec; the same is tried again at 2026-11-23 12:01:00 UTC (attempt 3)"
    )


def test_blocked_names_kafka() -> None:
    observed = Observed(topics=Topics(unreachable="Kafka at k:9092 cannot be reached"))
    verdict = judge(Desired("digest"), observed, Rest.BLOCKED, {})
    assert verdict.reason == "Blocked"
    assert "k:9092" in verdict.message


def test_conditions_follow_the_convention() -> None:
    made = {one.type: one for one in conditions(summary(failed(Problem("HelmFailed", "no"))), 7, (), NOW)}
    assert {name: one.status.value for name, one in made.items()} == {
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
    }
    assert made["Ready"].reason == made["Reconciling"].reason == "HelmFailed"
    assert {one.observed_generation for one in made.values()} == {7}


def test_a_transition_time_changes_with_the_status_only() -> None:
    first = conditions(summary(Verdict("WorkloadsStarting", "a", reconciling=True)), 1, (), NOW)
    second = conditions(summary(Verdict("WorkloadsStarting", "b", reconciling=True)), 2, first, LATER)
    assert [one.last_transition_time for one in second] == [NOW, NOW, NOW]
    third = conditions(summary(Verdict("Running", "c", ready=True)), 2, second, LATER)
    times = {one.type: one.last_transition_time for one in third}
    assert times == {"Ready": LATER, "Reconciling": LATER, "Stalled": NOW}


def test_a_message_is_cut_to_what_the_api_server_takes() -> None:
    made = conditions(summary(Verdict("InvalidRule", "x" * 40_000, stalled=True)), 1, (), NOW)
    assert max(len(one.message) for one in made) == 32768


def test_the_same_verdict_gives_the_same_conditions() -> None:
    verdict = Verdict("Running", "c", ready=True)
    first = conditions(summary(verdict), 1, (), NOW)
    # As they come back from the API server.
    stored = tuple(Condition.model_validate(one.to_wire()) for one in first)
    assert conditions(summary(verdict), 1, stored, LATER) == first


def test_a_correction_is_told_until_there_is_something_newer() -> None:
    first = drifted(Observed(), ["Deployment a is gone; put right"], (), NOW)
    assert (first.holds, first.reason) == (False, "Corrected")
    assert first.message == "2026-11-23 12:00:00 UTC: Deployment a is gone; put right"
    stored = conditions([first], 1, (), NOW)
    assert drifted(Observed(), [], stored, LATER) == first, "a pass without news writes nothing"
    assert drifted(Observed(), [], (), NOW).reason == "AsApplied"


def test_a_fight_is_told_and_its_end_too() -> None:
    contest = Contest("Deployment a spec.replicas: changed by hpa, again", 10)
    first = drifted(Observed(contests=(contest,)), [], (), NOW)
    assert (first.holds, first.reason) == (True, "Contested")
    assert "changed by hpa" in first.message
    stored = conditions([first], 1, (), NOW)
    assert drifted(None, [], stored, LATER) == first, "nothing could be looked at"
    assert drifted(Observed(), [], stored, LATER).reason == "AsApplied"
