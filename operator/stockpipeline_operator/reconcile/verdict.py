"""Sums up a pass in one reason and one sentence, and makes the conditions from it. Pure."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stockpipeline.api import Condition, ConditionStatus, ConditionType
from stockpipeline_operator.reconcile.decide import Rest
from stockpipeline_operator.reconcile.state import Desired, Observed, Problem, Workload

# The schema's limit, of a condition's message in characters.
_LONGEST_MESSAGE = 32768


@dataclass(frozen=True)
class Verdict:
    """How the pipeline is; at most one of the three is true."""

    reason: str
    message: str
    ready: bool = False
    reconciling: bool = False
    stalled: bool = False
    warning: bool = False
    """Whether somebody should look at it."""


def failed(problem: Problem) -> Verdict:
    """The verdict when a step failed and is tried again."""
    return Verdict(problem.reason, f"{problem.message}; trying again", reconciling=True, warning=True)


def judge(desired: Desired, observed: Observed, rest: Rest, troubles: Mapping[str, str]) -> Verdict:
    """The verdict when no step was left; `troubles` says of components what keeps their pods."""
    if rest is Rest.DRAINING:
        return Verdict("Deleting", f"waiting for {observed.pods_left} pods to end", reconciling=True)
    if rest is Rest.STALLED:
        return _stalled(desired, observed)
    if rest is Rest.BLOCKED:
        return failed(Problem("KafkaUnreachable", observed.topics.unreachable or ""))
    if desired.suspended:
        return Verdict(
            "Suspended", "suspended by spec.suspend: no workload runs, topics and history are kept"
        )
    starting = [workload for workload in observed.workloads if not workload.done]
    if starting:
        return Verdict(
            "WorkloadsStarting", "; ".join(_progress(one, troubles) for one in starting), reconciling=True
        )
    running = ", ".join(f"{one.component} {one.ready}/{one.desired}" for one in observed.workloads)
    return Verdict("Running", f"all workloads are ready: {running}", ready=True)


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


def _progress(workload: Workload, troubles: Mapping[str, str]) -> str:
    if workload.ready >= workload.desired:
        return f"{workload.component}: the newest version is being rolled out"
    trouble = troubles.get(workload.component)
    text = f"{workload.component} {workload.ready}/{workload.desired} ready"
    return f"{text} ({trouble})" if trouble else text


def conditions(
    verdict: Verdict, generation: int, previous: Iterable[Condition], now: datetime.datetime
) -> tuple[Condition, ...]:
    """Ready, Reconciling and Stalled. A transition time stays for as long as the status does."""
    before = {condition.type: condition for condition in previous}
    found = (
        (ConditionType.READY, verdict.ready, verdict.reason, verdict.message),
        (ConditionType.RECONCILING, verdict.reconciling, "NothingToDo", "no change is under way"),
        (ConditionType.STALLED, verdict.stalled, "NoProblem", "nothing waits for the user"),
    )
    made = []
    for type_, holds, reason, message in found:
        status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
        earlier = before.get(type_)
        made.append(
            Condition(
                type=type_,
                status=status,
                reason=verdict.reason if holds else reason,
                # Many problems make a long message, and the API server would refuse the whole status.
                message=(verdict.message if holds else message)[:_LONGEST_MESSAGE],
                last_transition_time=(
                    earlier.last_transition_time if earlier is not None and earlier.status is status else now
                ),
                observed_generation=generation,
            )
        )
    return tuple(made)
