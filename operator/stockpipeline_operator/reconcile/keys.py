"""Takes the pipeline's keys out of Redis."""

from stockpipeline_operator.reconcile.state import Cleanup
from stockpipeline_operator.reconcile.work import Work
from stockpipeline_operator.redis_keys import RedisFailure, delete_keys


def clean(work: Work) -> None:
    """Delete the keys; after the deadline, say what is left behind and go on."""
    pipeline = work.pipeline
    try:
        delete_keys(pipeline.redis, pipeline.names.redis_prefix)
    except RedisFailure as error:
        if not work.desired.deadline_passed:
            raise
        note = f"{error}; gave up: keys {pipeline.names.redis_prefix}* may be left behind"
        work.tools.events.record(pipeline, "Warning", "RedisNotCleaned", note)
    work.cleaned |= {Cleanup.REDIS}
