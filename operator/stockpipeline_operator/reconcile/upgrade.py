"""Makes the next revision of a pipeline's release."""

from stockpipeline_operator.helm.releases import FieldConflict
from stockpipeline_operator.reconcile.adopt import apply, marked
from stockpipeline_operator.reconcile.work import Work


def upgrade(work: Work) -> None:
    """Upgrade to the chart and values of the spec.

    Helm applies without force, so a field that somebody has edited on a live object makes it fail, and would
    for ever. What is wanted is then applied with force, which takes the fields back, and Helm goes again.
    """
    pipeline, tools = work.pipeline, work.tools
    try:
        revision = tools.releases.upgrade(pipeline.ingredients, work.observed.good)
    except FieldConflict as conflict:
        for wanted in pipeline.base.chart.render(pipeline.values, pipeline.name, pipeline.namespace):
            apply(tools.client, marked(wanted, pipeline.namespace, pipeline.name))
        tools.metrics.drift_corrections.inc()
        tools.events.record(pipeline, "Warning", "EditsOverwritten", f"took back edited fields: {conflict}")
        revision = tools.releases.upgrade(pipeline.ingredients, work.observed.good)
    tools.events.record(pipeline, "Normal", "Upgraded", f"upgraded to revision {revision}")
