"""Makes the first revision of a pipeline's release."""

from stockpipeline_operator.reconcile.work import Work


def install(work: Work) -> None:
    """Install the chart. Observes nothing further: the next pass sees how the workloads start.

    Objects that an interrupted installation left are adopted, because they carry the release's name.
    """
    pipeline, tools = work.pipeline, work.tools
    revision = tools.releases.install(pipeline.ingredients)
    tools.events.record(pipeline, "Normal", "Installed", f"installed revision {revision}")
