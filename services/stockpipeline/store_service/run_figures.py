"""Figures of the batch's newest run, from the master to the metrics: the batch's own pods live too short."""

from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.writer import Writer


def show_newest_run(writer: Writer, metrics: StoreMetrics) -> None:
    """Show them; nothing where no batch was loaded."""
    run = writer.newest_run()
    if run is not None:
        metrics.show_run(run.session, run.measures)
