"""Goes back to the last revision that ran well."""

from stockpipeline_operator.helm.releases import FieldConflict
from stockpipeline_operator.reconcile.adopt import apply, marked
from stockpipeline_operator.reconcile.work import Work


def roll_back(work: Work) -> None:
    """Make a new revision from the good one: its own chart, values and labels, so also its digest.

    Helm applies without force; see `upgrade` for fields that somebody holds.
    """
    pipeline, tools, good = work.pipeline, work.tools, work.observed.good
    assert good is not None
    try:
        tools.releases.roll_back(pipeline.namespace, good)
    except FieldConflict:
        for wanted in tools.revisions.objects(pipeline.namespace, good):
            apply(tools.client, marked(wanted, pipeline.namespace, pipeline.name))
        tools.releases.roll_back(pipeline.namespace, good)
    note = f"went back to revision {good.revision}, the last that ran well"
    tools.events.record(pipeline, "Warning", "RolledBack", note)
