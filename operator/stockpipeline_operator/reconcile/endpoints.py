"""Remembers where the pipeline makes something outside Kubernetes.

Written before anything is made there: a spec that names another Kafka later must not leave the topics of the
first one behind, and a kill must not either.
"""

from stockpipeline.api import Endpoints
from stockpipeline_operator.reconcile import status
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.work import Work


def record(work: Work) -> None:
    """Add the spec's endpoints to those in the status."""
    pipeline = work.pipeline
    made = Endpoints(kafka=kafka_servers(pipeline), redis=redis_urls(pipeline))
    changed = pipeline.reported.model_copy(update={"endpoints": made})
    written = status.write(work.tools.client, pipeline, changed)
    if written is not None:
        work.pipeline = pipeline.with_resource(written)


def kafka_servers(pipeline: Pipeline) -> tuple[str, ...]:
    """Every Kafka that may have topics of the pipeline, the spec's last."""
    earlier = pipeline.reported.endpoints
    return tuple(dict.fromkeys([*(earlier.kafka if earlier else ()), pipeline.kafka]))


def redis_urls(pipeline: Pipeline) -> tuple[str, ...]:
    """Every Redis that may have keys of the pipeline, the spec's last."""
    earlier = pipeline.reported.endpoints
    return tuple(dict.fromkeys([*(earlier.redis if earlier else ()), pipeline.redis]))
