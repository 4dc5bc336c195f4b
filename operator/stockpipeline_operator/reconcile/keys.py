"""Takes the pipeline's keys out of Redis."""

from stockpipeline_operator.reconcile.endpoints import redis_urls
from stockpipeline_operator.reconcile.state import Cleanup
from stockpipeline_operator.reconcile.work import Work
from stockpipeline_operator.redis_keys import RedisFailure, delete_keys


def clean(work: Work) -> None:
    """Delete the keys wherever they were made; after the deadline, say what is left behind and go on."""
    pipeline = work.pipeline
    failures = []
    for url in redis_urls(pipeline):
        try:
            delete_keys(url, pipeline.names.redis_prefix)
        except RedisFailure as error:
            failures.append(error)
    if failures and not work.desired.give_up:
        raise RedisFailure("; ".join(map(str, failures)))
    for failure in failures:
        note = f"{failure}; gave up: keys {pipeline.names.redis_prefix}* may be left behind"
        work.tools.events.record(pipeline, "Warning", "RedisNotCleaned", note)
    work.cleaned |= {Cleanup.REDIS}
