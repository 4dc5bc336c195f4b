"""Which step is next. A pure function: all that it knows is in its arguments, all that it does is answer.

It is called again after each step with what is then found, until it answers with a `Rest`: nothing is left to
do (or can be done) now. So no step relies on the one before having run in the same process.
"""

from enum import Enum

from stockpipeline_operator.reconcile.changes import plan_digest
from stockpipeline_operator.reconcile.state import Cleanup, Desired, Observed, Release, ReleaseStatus


class Step(Enum):
    """Something to do; each has a module of its own."""

    ADD_FINALIZER = "add finalizer"
    RECORD_ENDPOINTS = "record endpoints"
    UNLOCK = "unlock release"
    CREATE_TOPICS = "create topics"
    INSTALL = "install release"
    UPGRADE = "upgrade release"
    CONDEMN = "record a failed rollout"
    ROLL_BACK = "roll back"
    RESTORE = "restore objects"
    UNINSTALL = "uninstall release"
    CLEAN_KAFKA = "delete topics"
    CLEAN_REDIS = "delete keys"
    REMOVE_FINALIZER = "remove finalizer"


class Rest(Enum):
    """Nothing to do now."""

    SETTLED = "the release is what it should be"
    STALLED = "only the user can help"
    BLOCKED = "waiting for Kafka"
    LOCKED = "somebody else may be at work on the release"
    ROLLED_BACK = "the last good revision runs, and what failed waits for its next attempt"
    UNAPPROVED = "the plan waits for approval"
    OUT_OF_WINDOW = "what would restart pods waits for the exchange's close"
    DRAINING = "waiting for pods to end"
    GONE = "deleted, and nothing is held back"


def decide(desired: Desired, observed: Observed) -> Step | Rest:
    """The next step towards what is desired."""
    if desired.deleting:
        return _decide_deletion(desired, observed)
    release = observed.release
    deployed = release is not None and release.ours and release.status is ReleaseStatus.DEPLOYED
    if deployed and desired.has_finalizer and observed.drifts:
        # Before all else: what once ran well must run on, also while a new spec or Kafka is in trouble.
        return Step.RESTORE
    if desired.problems:
        # What runs is kept as it is: a typing error must not stop a working pipeline.
        return Rest.STALLED
    if release is not None and not release.ours:
        return Rest.STALLED
    same = release is not None and release.digest == desired.digest
    unapproved = desired.planned and not same and not approved(desired, release)
    if release is None and unapproved:
        return Rest.UNAPPROVED
    if not desired.has_finalizer:
        if release is None and not desired.suspended:
            # Nothing was made, and nothing can be: deleting it needs to wait for nothing, and must not take
            # the topics of another with it.
            if observed.topics.unreachable is not None:
                return Rest.BLOCKED
            if observed.topics.mismatched:
                return Rest.STALLED
        return Step.ADD_FINALIZER
    if release is not None and release.status.pending:
        return Rest.LOCKED if observed.locked else Step.UNLOCK
    if release is not None and release.status in (ReleaseStatus.UNINSTALLING, ReleaseStatus.UNINSTALLED):
        # Interrupted, or kept as history by somebody: Helm installs only where there is nothing.
        return Step.UNINSTALL
    if unapproved and not _must_go_back(desired, observed):
        return Rest.UNAPPROVED
    if not desired.endpoints_recorded:
        return Step.RECORD_ENDPOINTS
    if not desired.suspended:
        # Services must find their topics when they start, and a suspended pipeline starts none.
        if observed.topics.unreachable is not None:
            return Rest.BLOCKED
        if observed.topics.mismatched:
            return Rest.STALLED
        if observed.topics.missing:
            return Step.CREATE_TOPICS
    if release is None:
        return Step.INSTALL
    return _decide_revision(desired, observed, release, deployed=deployed)


def _decide_revision(
    desired: Desired, observed: Observed, release: Release, *, deployed: bool
) -> Step | Rest:
    """Forward to the spec's revision, or back to the last good one where that has failed."""
    good = observed.good
    if good is not None:
        failed = release.digest == desired.digest != good.digest and observed.failure is not None
        if failed and desired.failed != (release.digest, release.revision):
            return Step.CONDEMN
        if _must_go_back(desired, observed):
            return Step.ROLL_BACK
        if _condemned(desired, release):
            return Rest.ROLLED_BACK
    if deployed and release.digest == desired.digest:
        return Rest.SETTLED
    well = deployed and observed.failure is None and all(one.done for one in observed.workloads)
    if well and observed.restarts and desired.session_closes is not None:
        return Rest.OUT_OF_WINDOW
    return Step.UPGRADE


def _condemned(desired: Desired, release: Release) -> bool:
    """Whether what is desired has failed and is not to be tried again yet: where changes wait for approval,
    the next attempt does so too."""
    digest, revision = desired.failed
    if digest != desired.digest:
        return False
    if not desired.planned:
        return not desired.retry_due
    trying = release.digest == desired.digest and release.revision != revision
    return not trying and not approved(desired, release)


def _must_go_back(desired: Desired, observed: Observed) -> bool:
    """Whether a rollout has failed, and the good revision is not what is deployed.

    Also where the way back was interrupted. Never to a suspended revision: none of them is good.
    """
    release, good = observed.release, observed.good
    if release is None or good is None or not _condemned(desired, release):
        return False
    return release.status is not ReleaseStatus.DEPLOYED or release.digest != good.digest


def approved(desired: Desired, release: Release | None) -> bool:
    """Whether somebody has approved to go from this revision to what is desired."""
    return desired.approved == plan_digest(release, desired.digest)


def _decide_deletion(desired: Desired, observed: Observed) -> Step | Rest:
    if not desired.has_finalizer:
        return Rest.GONE
    release = observed.release
    if release is not None and release.ours and Cleanup.RELEASE not in observed.cleaned:
        return Step.UNINSTALL
    if observed.pods_left and not desired.deadline_passed:
        # A service that still runs would write again what is deleted now.
        return Rest.DRAINING
    if desired.retained:
        return Step.REMOVE_FINALIZER
    if Cleanup.KAFKA not in observed.cleaned:
        return Step.CLEAN_KAFKA
    if Cleanup.REDIS not in observed.cleaned:
        return Step.CLEAN_REDIS
    return Step.REMOVE_FINALIZER
