"""Records that a rollout failed, before anything is done about it.

The record is what keeps the operator from trying the same again at once: written first, a kill in between
loses nothing. It belongs to a digest, so any change of the spec (or of the chart) is tried without waiting.
"""

import datetime

from stockpipeline.api import FailedRollout
from stockpipeline_operator.reconcile import status
from stockpipeline_operator.reconcile.work import Work

_FIRST_RETRY = datetime.timedelta(minutes=10)
_LONGEST_RETRY = datetime.timedelta(hours=6)


def condemn(work: Work) -> None:
    """Write down which revision failed, why, and when it may be tried again."""
    pipeline, release, failure = work.pipeline, work.observed.release, work.observed.failure
    assert release is not None
    assert failure is not None
    now = work.tools.now().replace(microsecond=0)
    before = pipeline.reported
    earlier = before.failed_rollout
    attempts = earlier.attempts + 1 if earlier is not None and earlier.digest == release.digest else 1
    failed = FailedRollout(
        digest=release.digest,
        revision=release.revision,
        message=failure,
        attempts=attempts,
        retry_at=now + retry_after(attempts),
    )
    written = status.write(work.tools.client, pipeline, before.model_copy(update={"failed_rollout": failed}))
    if written is not None:
        work.pipeline = pipeline.with_resource(written)
    work.tools.events.record(
        pipeline, "Warning", "RolloutFailed", f"revision {release.revision}: {failed.message}"
    )


def retry_after(attempts: int) -> datetime.timedelta:
    """How long a spec that failed so often is left alone: ten minutes, doubling up to six hours."""
    return min(_LONGEST_RETRY, _FIRST_RETRY * int(2 ** min(attempts - 1, 16)))
