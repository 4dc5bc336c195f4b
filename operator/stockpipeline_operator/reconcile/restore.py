"""Puts back objects of a release that somebody deleted, and Deployments that somebody scaled."""

from stockpipeline_operator.helm.chart import parse_manifest
from stockpipeline_operator.reconcile.adopt import apply
from stockpipeline_operator.reconcile.observe import replicas
from stockpipeline_operator.reconcile.state import ObjectRef
from stockpipeline_operator.reconcile.work import Work


def restore(work: Work) -> None:
    """Apply what is missing or rescaled as the deployed revision has it; the revision stays the same."""
    pipeline, tools, release = work.pipeline, work.tools, work.observed.release
    assert release is not None
    for wanted in parse_manifest(release.manifest):
        ref = ObjectRef(wanted["kind"], wanted["metadata"]["name"])
        if ref in work.observed.missing:
            note = f"{ref.kind} {ref.name} was gone and is back"
        elif ref in work.observed.rescaled:
            note = f"{ref.kind} {ref.name} was scaled by hand and is back at {replicas(wanted)} replicas"
        else:
            continue
        apply(tools.client, wanted, pipeline.namespace, pipeline.name)
        tools.metrics.drift_corrections.inc()
        tools.events.record(pipeline, "Warning", "Restored", note)
