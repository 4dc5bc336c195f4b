"""Holds a resource's deletion back until all that it made is gone."""

from stockpipeline.api import FINALIZER
from stockpipeline_operator.kube.client import NotFound
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from stockpipeline_operator.reconcile.work import Work


def add(work: Work) -> None:
    """Add the finalizer, before the first thing is made outside the resource."""
    _write(work, [*work.pipeline.resource["metadata"].get("finalizers", ()), FINALIZER])


def remove(work: Work) -> None:
    """Remove the finalizer: the API server then deletes the resource. Say what stays or may be left."""
    if work.observed.unseen:
        note = (
            f"cannot see what is left of the release: {work.observed.unseen}; gave up: its Secrets may be "
            "left behind"
        )
        work.tools.events.record(work.pipeline, "Warning", "ReleaseNotRemoved", note)
    if work.desired.retained:
        names = work.pipeline.names
        volume = (
            f", the volume {work.pipeline.name}-store" if "store" in work.pipeline.resource["spec"] else ""
        )
        note = (
            f"deletionPolicy is Retain: the topics {names.prefix}.*, the consumer group "
            f"{names.consumer_group}{volume} and the Redis keys {names.redis_prefix}* stay"
        )
        work.tools.events.record(work.pipeline, "Normal", "Retained", note)
    kept = [name for name in work.pipeline.resource["metadata"]["finalizers"] if name != FINALIZER]
    try:
        _write(work, kept)
    except NotFound:
        # Somebody else removed it; what we were to do is done.
        work.pipeline.resource["metadata"]["finalizers"] = kept


def _write(work: Work, finalizers: list[str]) -> None:
    metadata = work.pipeline.resource["metadata"]
    body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": finalizers}}
    path = STOCK_PIPELINE.path(work.pipeline.namespace, work.pipeline.name)
    work.pipeline = work.pipeline.with_resource(work.tools.client.merge(path, body))
