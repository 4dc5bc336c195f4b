"""Sums up a pass in one reason and one sentence, and makes the conditions from it. Pure."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stockpipeline.api import Condition, ConditionStatus, ConditionType, FailedRollout
from stockpipeline_operator.reconcile.decide import Rest
from stockpipeline_operator.reconcile.order import culprit, in_order
from stockpipeline_operator.reconcile.pod_troubles import progress
from stockpipeline_operator.reconcile.state import Desired, Observed, Problem

# The schema's limit, of a condition's message in characters.
_LONGEST_MESSAGE = 32768
_STATUSES = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}


@dataclass(frozen=True)
class Verdict:
    """How the pipeline is. What runs well is ready also while a change waits; else at most one is true."""

    reason: str
    message: str
    ready: bool = False
    reconciling: bool = False
    stalled: bool = False
    warning: bool = False
    """Whether somebody should look at it."""


@dataclass(frozen=True)
class Finding:
    """One condition, before it is known since when."""

    type: ConditionType
    holds: bool | None
    """None: not known."""
    reason: str
    message: str


def failed(problem: Problem) -> Verdict:
    """The verdict when a step failed and is tried again."""
    return Verdict(problem.reason, f"{problem.message}; trying again", reconciling=True, warning=True)


def judge(
    desired: Desired,
    observed: Observed,
    rest: Rest,
    troubles: Mapping[str, str],
    failed_rollout: FailedRollout | None = None,
    waiting: str = "",
) -> Verdict:
    """The verdict when no step was left; `troubles` says of components what keeps their pods, `waiting` which
    plan waits."""
    if rest is Rest.DRAINING:
        return Verdict("Deleting", f"waiting for {observed.pods_left} pods to end", reconciling=True)
    if rest is Rest.STALLED:
        return _stalled(desired, observed)
    if rest is Rest.BLOCKED:
        message = f"nothing starts or changes before the topics: {observed.topics.unreachable}; trying again"
        return Verdict("Blocked", message, reconciling=True, warning=True)
    if rest is Rest.LOCKED:
        assert observed.release is not None
        message = (
            f"revision {observed.release.revision} of the release is {observed.release.status}: if nobody "
            "finishes it, it was left by a kill and is made anew"
        )
        return Verdict("ReleaseLocked", message, reconciling=True)
    if rest is Rest.ROLLED_BACK:
        return _rolled_back(observed, failed_rollout)
    if rest is Rest.UNAPPROVED:
        return Verdict("AwaitingApproval", waiting, ready=_well(observed), stalled=True)
    if rest is Rest.OUT_OF_WINDOW:
        message = f"{waiting}: at {desired.session_closes:%Y-%m-%d %H:%M} UTC"
        return Verdict("AwaitingClose", message, ready=_well(observed), reconciling=True)
    if desired.suspended:
        return Verdict(
            "Suspended", "suspended by spec.suspend: no workload runs, topics and history are kept"
        )
    return _running(observed, troubles)


def _well(observed: Observed) -> bool:
    """Whether what is deployed runs."""
    return bool(observed.workloads) and all(one.done for one in observed.workloads)


def _running(observed: Observed, troubles: Mapping[str, str]) -> Verdict:
    workloads = in_order(observed.workloads)
    starting = [one for one in workloads if not one.done]
    if not starting:
        running = ", ".join(f"{one.component} {one.ready}/{one.desired}" for one in workloads)
        return Verdict("Running", f"all workloads are ready: {running}", ready=True)
    message = "; ".join(progress(one, troubles) for one in starting)
    if observed.failure is not None and observed.good is None:
        message = f"{observed.failure}. There is no earlier revision to go back to: correct the spec"
        return Verdict("RolloutFailed", message, stalled=True, warning=True)
    for one in starting:
        first = culprit(one, workloads)
        if first is not None and first.component in troubles:
            message = f"{one.component} waits for {first.component}: {message}"
            return Verdict("Blocked", message, reconciling=True, warning=True)
    return Verdict("WorkloadsStarting", message, reconciling=True)


def _rolled_back(observed: Observed, failed: FailedRollout | None) -> Verdict:
    assert observed.release is not None
    assert failed is not None
    done = all(one.done for one in observed.workloads)
    message = (
        f"revision {failed.revision} failed: {failed.message}. Revision {observed.release.revision}, made "
        f"from the last good one, {'runs' if done else 'starts'} instead. Correct the spec; the same is "
        f"tried again at {failed.retry_at:%Y-%m-%d %H:%M:%S} UTC (attempt {failed.attempts + 1})"
    )
    return Verdict("RolledBack", message, stalled=True, warning=True)


def _stalled(desired: Desired, observed: Observed) -> Verdict:
    release = observed.release
    if release is not None and not release.ours:
        message = (
            f"the Helm release {release.name} was not made for this pipeline; "
            "uninstall it, or give the pipeline another name"
        )
        return Verdict("ReleaseNameTaken", message, stalled=True, warning=True)
    if desired.problems:
        reason = desired.problems[0].reason
        message = "; ".join(problem.message for problem in desired.problems)
    else:
        reason = "TopicMismatch"
        message = (
            "; ".join(observed.topics.mismatched)
            + "; delete the topics if nobody needs them, or "
            + ("delete this pipeline and make it anew under another name or with that number of partitions")
        )
    if release is not None:
        message += f"; revision {release.revision}, made from an earlier spec, is kept as it is"
    return Verdict(reason, message, stalled=True, warning=True)


def summary(verdict: Verdict) -> tuple[Finding, ...]:
    """Ready, Reconciling and Stalled."""
    ready = Finding(ConditionType.READY, verdict.ready, verdict.reason, verdict.message)
    reconciling = replace(ready, type=ConditionType.RECONCILING, holds=verdict.reconciling)
    stalled = replace(ready, type=ConditionType.STALLED, holds=verdict.stalled)
    return (
        ready,
        reconciling
        if verdict.reconciling
        else replace(reconciling, reason="NothingToDo", message="no change is under way"),
        stalled
        if verdict.stalled
        else replace(stalled, reason="NoProblem", message="nothing waits for the user"),
    )


def drifted(
    observed: Observed | None, corrected: Sequence[str], previous: Iterable[Condition], now: datetime.datetime
) -> Finding:
    """Whether objects are left as others made them; if not, what was put right last."""
    type_ = ConditionType.DRIFTED
    if observed is not None and observed.contests:
        what = "; ".join(contest.what for contest in observed.contests)
        return Finding(
            type_, True, "Contested", f"{what}. Stop what changes it, or change the pipeline's spec"
        )
    if corrected:
        return Finding(type_, False, "Corrected", f"{now:%Y-%m-%d %H:%M:%S} UTC: {'; '.join(corrected)}")
    before = kept(type_, previous)
    if before is not None and (observed is None or before.reason == "Corrected"):
        return before
    return Finding(type_, False, "AsApplied", "every object is as it was applied")


def kept(type_: ConditionType, previous: Iterable[Condition]) -> Finding | None:
    """A condition as it was reported before."""
    before = next((one for one in previous if one.type == type_), None)
    if before is None:
        return None
    holds = {status: holds for holds, status in _STATUSES.items()}[before.status]
    return Finding(type_, holds, before.reason, before.message)


def conditions(
    found: Iterable[Finding], generation: int, previous: Iterable[Condition], now: datetime.datetime
) -> tuple[Condition, ...]:
    """The conditions to report. A transition time stays for as long as the status does."""
    before = {condition.type: condition for condition in previous}
    made = []
    for finding in found:
        status = _STATUSES[finding.holds]
        earlier = before.get(finding.type)
        made.append(
            Condition(
                type=finding.type,
                status=status,
                reason=finding.reason,
                # Many problems make a long message, and the API server would refuse the whole status.
                message=finding.message[:_LONGEST_MESSAGE],
                last_transition_time=(
                    earlier.last_transition_time if earlier is not None and earlier.status is status else now
                ),
                observed_generation=generation,
            )
        )
    return tuple(made)
