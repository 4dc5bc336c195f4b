"""Puts right the objects of a release that somebody deleted or edited."""

from stockpipeline_operator.helm.releases import field_manager
from stockpipeline_operator.reconcile.adopt import apply, marked
from stockpipeline_operator.reconcile.ownership import lost_fields, owned_fields
from stockpipeline_operator.reconcile.state import ObjectRef
from stockpipeline_operator.reconcile.work import Work


def restore(work: Work) -> None:
    """Apply what has drifted as the deployed revision has it; the revision stays the same.

    Whether it was an edit shows in the answer: a field that has no owner even now never had one. It is not
    looked at again, and nothing is reported.
    """
    pipeline, tools, release = work.pipeline, work.tools, work.observed.release
    assert release is not None
    contents = tools.revisions.contents(pipeline.namespace, release)
    objects = {ObjectRef.of(one): one for one in tools.revisions.objects(pipeline.namespace, release)}
    for drift in work.observed.drifts:
        wanted = marked(objects[drift.ref], pipeline.namespace, pipeline.name)
        live = apply(tools.client, wanted)
        owned = owned_fields(live["metadata"].get("managedFields", ()), field_manager())
        ownerless = frozenset(lost_fields(wanted, owned))
        contents.without_owner(drift.ref, ownerless)
        contents.as_it_should(drift.ref, owned)
        if drift.fields and ownerless.issuperset(drift.fields):
            continue
        tools.corrections.made(pipeline.key, drift.ref)
        tools.metrics.drift_corrections.inc()
        note = f"{drift.ref} {drift.what}; put right"
        work.corrected.append(note)
        tools.events.record(pipeline, "Warning", "DriftCorrected", note)
