"""Frees a release that says somebody is at work on it when nobody is.

Helm marks a revision `pending-*` while it works and refuses to touch such a release. A process that is
killed in between leaves the mark for ever. No other pass of this operator works on the pipeline now (the
queue sees to that), no other operator does (the Lease sees to that), and a person with Helm would have moved
on by now (`Attempts.lock_seconds`): the mark is a leftover. The revision is marked as failed, with its
manifest kept: the upgrade that follows then knows what the interrupted one may have made.
"""

from stockpipeline_operator.helm.storage import secret_name, with_status
from stockpipeline_operator.kube.resources import SECRET
from stockpipeline_operator.reconcile.state import ReleaseStatus
from stockpipeline_operator.reconcile.work import Work


def unlock(work: Work) -> None:
    """Mark the pending revision as failed."""
    pipeline, tools, release = work.pipeline, work.tools, work.observed.release
    assert release is not None
    path = SECRET.path(pipeline.namespace, secret_name(release.name, release.revision))
    stored = tools.client.get(path)
    if stored is None:
        return
    text = f"{release.status} was interrupted"
    tools.client.replace(path, with_status(stored, ReleaseStatus.FAILED, text))
    note = f"revision {release.revision}: {text}; marked as failed"
    tools.events.record(pipeline, "Warning", "ReleaseUnlocked", note)
