"""Puts back objects of a release that somebody deleted."""

from stockpipeline_operator.helm.chart import parse_manifest
from stockpipeline_operator.reconcile.adopt import apply
from stockpipeline_operator.reconcile.state import ObjectRef
from stockpipeline_operator.reconcile.work import Work


def restore(work: Work) -> None:
    """Apply what is missing from the manifest of the deployed revision; the revision stays the same."""
    pipeline, tools, release = work.pipeline, work.tools, work.observed.release
    assert release is not None
    for wanted in parse_manifest(release.manifest):
        ref = ObjectRef(wanted["kind"], wanted["metadata"]["name"])
        if ref in work.observed.missing:
            apply(tools.client, wanted, pipeline.namespace, pipeline.name)
            tools.metrics.drift_corrections.inc()
            tools.events.record(
                pipeline, "Warning", "Restored", f"{ref.kind} {ref.name} was gone and is back"
            )
