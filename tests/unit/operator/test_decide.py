"""The decision, as tables: what is wanted, what is found → the next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline_operator.reconcile.changes import plan_digest
from stockpipeline_operator.reconcile.decide import Rest, Step, decide
from stockpipeline_operator.reconcile.state import (
    Cleanup,
    Desired,
    Drift,
    ObjectRef,
    Observed,
    Problem,
    Release,
    ReleaseStatus,
    Topics,
    Workload,
)

WANTED = Desired(digest="new")
SUSPENDED = replace(WANTED, suspended=True)
BROKEN = Desired(digest="", problems=(Problem("InvalidRule", "no"),))
FRESH = replace(WANTED, has_finalizer=False)
UNRECORDED = replace(WANTED, endpoints_recorded=False)
DELETED = replace(WANTED, deleting=True)
LATE = replace(DELETED, deadline_passed=True)

NO_KAFKA = Topics(unreachable="Kafka at x cannot be reached")
NO_TOPICS = Topics(missing=("a.b.ticks",))
OTHER_TOPICS = Topics(mismatched=("topic a.b.ticks has 2 partitions",))
LOST = (Drift(ObjectRef("Deployment", "demo-producer")),)
EDITED = (Drift(ObjectRef("Deployment", "demo-producer"), (("f:spec", "f:replicas"),)),)
ALL_CLEAN = frozenset(Cleanup)
GIVEN_UP = frozenset({Cleanup.RELEASE})


def release(
    status: ReleaseStatus = ReleaseStatus.DEPLOYED, digest: str = "new", uid: str = "third"
) -> Release:
    return Release("demo", 3, status, digest, uid)


CURRENT = Observed(release=release())
OLD = Observed(release=release(digest="old"))
FAILED = Observed(release=release(ReleaseStatus.FAILED))
FOREIGN = Observed(release=release(digest=""))
NOTHING = Observed()
GOOD = replace(release(ReleaseStatus.SUPERSEDED, "good"), revision=1)
BAD = Observed(release=release(), failure="detector 0/1 ready", good=GOOD)
REFUSED = replace(BAD, release=release(ReleaseStatus.FAILED))
CUT_OFF = replace(BAD, release=release(ReleaseStatus.FAILED, "good"))
CONDEMNED = replace(WANTED, failed=("new", 3))
DUE = replace(CONDEMNED, retry_due=True)
BACK = Observed(release=replace(release(digest="good", uid="fourth"), revision=4), good=GOOD)
PLANNED = replace(WANTED, planned=True)
PLANNED_BAD = replace(CONDEMNED, planned=True)
APPROVAL = plan_digest(OLD.release, "new")
OPEN = replace(WANTED, session_closes=datetime(2026, 11, 23, 21, tzinfo=UTC))
RESTARTING = replace(OLD, restarts=True)
AILING = Workload("detector", "demo-detector", desired=1, ready=0, current=True)
PENDING = [status for status in ReleaseStatus if status.pending]

TABLE: list[tuple[str, Desired, Observed, Step | Rest]] = [
    ("a new resource is marked first", FRESH, NOTHING, Step.ADD_FINALIZER),
    ("nothing is held where nothing can be made", FRESH, replace(NOTHING, topics=NO_KAFKA), Rest.BLOCKED),
    ("a suspended one needs no Kafka to be made", replace(FRESH, suspended=True),
     replace(NOTHING, topics=NO_KAFKA), Step.ADD_FINALIZER),
    ("a release is never left unmarked", FRESH, replace(CURRENT, topics=NO_KAFKA), Step.ADD_FINALIZER),
    ("where it makes things is written down first", UNRECORDED, NOTHING, Step.RECORD_ENDPOINTS),
    ("also when it moves", UNRECORDED, OLD, Step.RECORD_ENDPOINTS),
    ("but not what nobody approved", replace(UNRECORDED, planned=True), OLD, Rest.UNAPPROVED),
    ("topics come before workloads", WANTED, replace(NOTHING, topics=NO_TOPICS), Step.CREATE_TOPICS),
    ("nothing starts without Kafka", WANTED, replace(NOTHING, topics=NO_KAFKA), Rest.BLOCKED),
    ("then the release", WANTED, NOTHING, Step.INSTALL),
    ("all is as it should be", WANTED, CURRENT, Rest.SETTLED),
    ("chart or values changed", WANTED, OLD, Step.UPGRADE),
    ("the same values failed before", WANTED, FAILED, Step.UPGRADE),
    ("an object is gone", WANTED, replace(CURRENT, drifts=LOST), Step.RESTORE),
    ("what ran runs on before it is upgraded", WANTED, replace(OLD, drifts=LOST), Step.RESTORE),
    ("an upgrade that Kafka blocks", WANTED, replace(OLD, drifts=LOST, topics=NO_KAFKA), Step.RESTORE),
    ("a spec with problems restores as well", BROKEN, replace(OLD, drifts=LOST), Step.RESTORE),
    ("topics of another number do not stop it", WANTED, replace(OLD, drifts=LOST, topics=OTHER_TOPICS),
     Step.RESTORE),
    ("an object was edited", WANTED, replace(CURRENT, drifts=EDITED), Step.RESTORE),
    ("nothing is restored unmarked", FRESH, replace(CURRENT, drifts=LOST), Step.ADD_FINALIZER),
    ("nor what is not ours", WANTED, replace(FOREIGN, drifts=LOST), Rest.STALLED),
    ("nor what failed", WANTED, replace(FAILED, drifts=LOST), Step.UPGRADE),
    ("topics of another: this one made nothing", FRESH, replace(NOTHING, topics=OTHER_TOPICS), Rest.STALLED),
    ("restoring needs no Kafka", WANTED, replace(CURRENT, drifts=LOST, topics=NO_KAFKA), Step.RESTORE),
    ("Kafka goes away", WANTED, replace(CURRENT, topics=NO_KAFKA), Rest.BLOCKED),
    ("a topic was deleted", WANTED, replace(CURRENT, topics=NO_TOPICS), Step.CREATE_TOPICS),
    ("topics of somebody else", WANTED, replace(NOTHING, topics=OTHER_TOPICS), Rest.STALLED),
    ("an upgrade waits for Kafka", WANTED, replace(OLD, topics=NO_KAFKA), Rest.BLOCKED),
    ("suspending does not", SUSPENDED, replace(OLD, topics=NO_KAFKA), Step.UPGRADE),
    ("a suspended pipeline needs no topics", SUSPENDED, replace(CURRENT, topics=NO_TOPICS), Rest.SETTLED),
    ("a lock that may be held", WANTED, Observed(release=release(PENDING[0]), locked=True), Rest.LOCKED),
    ("a rollout that failed is recorded", WANTED, BAD, Step.CONDEMN),
    ("then goes back", CONDEMNED, BAD, Step.ROLL_BACK),
    ("also when going back was cut off", CONDEMNED, CUT_OFF, Step.ROLL_BACK),
    ("and stays there", CONDEMNED, BACK, Rest.ROLLED_BACK),
    ("until it is time", DUE, BACK, Step.UPGRADE),
    ("the next attempt is on its way", DUE, replace(BAD, failure=None), Rest.SETTLED),
    ("it failed as well", replace(CONDEMNED, failed=("new", 1), retry_due=True), BAD, Step.CONDEMN),
    ("a corrected spec is tried at once", replace(CONDEMNED, digest="newer"), BACK, Step.UPGRADE),
    ("also before it went back", replace(CONDEMNED, digest="newer"), BAD, Step.UPGRADE),
    ("a first one has nothing to go back to", WANTED, replace(BAD, good=None), Rest.SETTLED),
    ("nor one whose history is gone", WANTED, replace(BAD, good=None), Rest.SETTLED),
    ("what ran well is never condemned", WANTED, replace(BAD, good=release()),
     Rest.SETTLED),
    ("without Kafka nothing is condemned", WANTED, replace(BAD, topics=NO_KAFKA), Rest.BLOCKED),
    ("refused again and again", WANTED, REFUSED, Step.CONDEMN),
    ("suspending what failed", replace(CONDEMNED, digest="asleep", suspended=True), BACK, Step.UPGRADE),
    ("what drifts while the good one runs", CONDEMNED, replace(BACK, drifts=LOST), Step.RESTORE),
    ("a spec with problems", BROKEN, NOTHING, Rest.STALLED),
    ("what runs is kept", BROKEN, OLD, Rest.STALLED),
    ("even a broken new resource is not marked", replace(BROKEN, has_finalizer=False), NOTHING, Rest.STALLED),
    ("a release that is not ours", WANTED, FOREIGN, Rest.STALLED),
    *(("a leftover lock", WANTED, Observed(release=release(one)), Step.UNLOCK) for one in PENDING),
    ("a lock without Kafka", WANTED, Observed(release=release(PENDING[0]), topics=NO_KAFKA), Step.UNLOCK),
    ("a removal cut off", WANTED, Observed(release=release(ReleaseStatus.UNINSTALLING)), Step.UNINSTALL),
    ("history kept by hand", WANTED, Observed(release=release(ReleaseStatus.UNINSTALLED)), Step.UNINSTALL),
    ("deleted: the release first", DELETED, CURRENT, Step.UNINSTALL),
    ("deleted: also a pending one", DELETED, Observed(release=release(PENDING[0])), Step.UNINSTALL),
    ("deleted: pods may still write", DELETED, Observed(pods_left=2), Rest.DRAINING),
    ("deleted: then the topics", DELETED, NOTHING, Step.CLEAN_KAFKA),
    ("deleted: then the keys", DELETED, Observed(cleaned=frozenset({Cleanup.KAFKA})), Step.CLEAN_REDIS),
    ("deleted: then let go", DELETED, Observed(cleaned=ALL_CLEAN), Step.REMOVE_FINALIZER),
    ("deleted: nothing is held", replace(DELETED, has_finalizer=False), CURRENT, Rest.GONE),
    ("deleted: with problems as well", replace(BROKEN, deleting=True), CURRENT, Step.UNINSTALL),
    ("deleted: not what is not ours", DELETED, FOREIGN, Step.CLEAN_KAFKA),
    ("retained: the release goes", replace(DELETED, retained=True), CURRENT, Step.UNINSTALL),
    ("retained: pods end", replace(DELETED, retained=True), Observed(pods_left=2), Rest.DRAINING),
    ("retained: the data stays", replace(DELETED, retained=True), NOTHING, Step.REMOVE_FINALIZER),
    ("planned: nothing is made before approval", PLANNED, NOTHING, Rest.UNAPPROVED),
    ("planned: not even marked", replace(PLANNED, has_finalizer=False), NOTHING, Rest.UNAPPROVED),
    ("planned: no topics", PLANNED, replace(NOTHING, topics=NO_TOPICS), Rest.UNAPPROVED),
    ("planned: nothing is changed", PLANNED, OLD, Rest.UNAPPROVED),
    ("planned: what runs is restored", PLANNED, replace(OLD, drifts=LOST), Step.RESTORE),
    ("planned: the same is repaired", PLANNED, FAILED, Step.UPGRADE),
    ("planned: nothing waits", PLANNED, CURRENT, Rest.SETTLED),
    ("approved: a new one", replace(PLANNED, approved=plan_digest(None, "new")), NOTHING, Step.INSTALL),
    ("approved: a change", replace(PLANNED, approved=APPROVAL), OLD, Step.UPGRADE),
    ("approved: another change", replace(PLANNED, approved=plan_digest(OLD.release, "x")), OLD,
     Rest.UNAPPROVED),
    ("approved: the same from an earlier revision", replace(PLANNED, approved=APPROVAL),
     replace(OLD, release=release(digest="old", uid="later")), Rest.UNAPPROVED),
    ("planned: a failed one is recorded", PLANNED, BAD, Step.CONDEMN),
    ("planned: going back needs no approval", PLANNED_BAD, BAD, Step.ROLL_BACK),
    ("planned: also when it was cut off", PLANNED_BAD, CUT_OFF, Step.ROLL_BACK),
    ("planned: also when it could be tried again", replace(PLANNED_BAD, retry_due=True), CUT_OFF,
     Step.ROLL_BACK),
    ("planned: the next attempt waits", replace(PLANNED_BAD, retry_due=True), BACK, Rest.UNAPPROVED),
    ("approved: the next attempt, at once", replace(PLANNED_BAD, approved=plan_digest(BACK.release, "new")),
     BACK, Step.UPGRADE),
    ("approved: and is on its way", replace(PLANNED_BAD, failed=("new", 1)), replace(BAD, failure=None),
     Rest.SETTLED),
    ("open: what restarts waits", OPEN, RESTARTING, Rest.OUT_OF_WINDOW),
    ("open: what does not restart goes on", OPEN, OLD, Step.UPGRADE),
    ("closed: it goes on", WANTED, RESTARTING, Step.UPGRADE),
    ("open: a failing pipeline is repaired", OPEN, replace(RESTARTING, workloads=(AILING,)), Step.UPGRADE),
    ("open: a failed release is repaired", OPEN, replace(FAILED, restarts=True), Step.UPGRADE),
    ("open: approval does not open it", replace(OPEN, planned=True, approved=APPROVAL),
     RESTARTING, Rest.OUT_OF_WINDOW),
    ("late: pods do not hold it", LATE, Observed(pods_left=2), Step.CLEAN_KAFKA),
    ("late: a release that stays", LATE, replace(CURRENT, cleaned=GIVEN_UP), Step.CLEAN_KAFKA),
]  # fmt: skip


@pytest.mark.parametrize(
    ("desired", "observed", "expected"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_table(desired: Desired, observed: Observed, expected: Step | Rest) -> None:
    assert decide(desired, observed) is expected


def after(step: Step, desired: Desired, observed: Observed) -> tuple[Desired, Observed]:
    """What a step that works leaves behind."""
    match step:
        case Step.ADD_FINALIZER:
            return replace(desired, has_finalizer=True), observed
        case Step.REMOVE_FINALIZER:
            return replace(desired, has_finalizer=False), observed
        case Step.RECORD_ENDPOINTS:
            return replace(desired, endpoints_recorded=True), observed
        case Step.UNLOCK:
            assert observed.release is not None
            return desired, replace(observed, release=replace(observed.release, status=ReleaseStatus.FAILED))
        case Step.CREATE_TOPICS:
            return desired, replace(observed, topics=Topics())
        case Step.INSTALL | Step.UPGRADE:
            made = release(digest=desired.digest)
            return desired, replace(observed, release=made, drifts=(), failure=None)
        case Step.RESTORE:
            return desired, replace(observed, drifts=())
        case Step.CONDEMN:
            assert observed.release is not None
            record = (observed.release.digest, observed.release.revision)
            return replace(desired, failed=record, retry_due=False), observed
        case Step.ROLL_BACK:
            assert observed.good is not None
            back = replace(observed.good, status=ReleaseStatus.DEPLOYED, revision=10)
            return desired, replace(observed, release=back, good=back, failure=None, drifts=())
        case Step.UNINSTALL:
            return desired, replace(observed, release=None, drifts=())
        case Step.CLEAN_KAFKA:
            return desired, replace(observed, cleaned=observed.cleaned | {Cleanup.KAFKA})
        case Step.CLEAN_REDIS:
            return desired, replace(observed, cleaned=observed.cleaned | {Cleanup.REDIS})


releases = st.none() | st.builds(
    Release,
    name=st.just("demo"),
    revision=st.integers(1, 9),
    status=st.sampled_from(ReleaseStatus),
    digest=st.sampled_from(["new", "old", "good", ""]),
)
situations = st.builds(
    Observed,
    release=releases,
    topics=st.sampled_from([Topics(), NO_TOPICS, OTHER_TOPICS, NO_KAFKA]),
    drifts=st.sampled_from([(), LOST, EDITED]),
    pods_left=st.integers(0, 2),
    locked=st.booleans(),
    failure=st.none() | st.just("detector 0/1 ready"),
    good=st.none() | st.just(GOOD),
)
KEPT = replace(LATE, retained=True)
wishes = st.sampled_from(
    [WANTED, SUSPENDED, BROKEN, FRESH, DELETED, LATE, KEPT, UNRECORDED, CONDEMNED, PLANNED, PLANNED_BAD]
)


@given(wishes, situations)
def test_from_every_situation_the_steps_come_to_rest(desired: Desired, observed: Observed) -> None:
    for _ in range(len(Step)):
        decision = decide(desired, observed)
        if isinstance(decision, Rest):
            break
        desired, observed = after(decision, desired, observed)
    decision = decide(desired, observed)
    assert isinstance(decision, Rest)
    if decision is Rest.SETTLED:
        assert observed.release is not None
        assert observed.release.status is ReleaseStatus.DEPLOYED
        assert observed.release.digest == "new"
    if decision is Rest.ROLLED_BACK:
        assert observed.release is not None
        assert (observed.release.status, observed.release.digest) == (ReleaseStatus.DEPLOYED, "good")
        assert not observed.drifts
    if desired.deadline_passed:
        assert decision is Rest.GONE, "nothing may hold a deletion for ever"


@given(wishes, situations)
def test_a_release_that_is_not_ours_is_never_touched(desired: Desired, observed: Observed) -> None:
    if observed.release is not None and not observed.release.ours:
        touching = {
            Step.UNLOCK,
            Step.INSTALL,
            Step.UPGRADE,
            Step.RESTORE,
            Step.UNINSTALL,
            Step.CONDEMN,
            Step.ROLL_BACK,
        }
        assert decide(desired, observed) not in touching
