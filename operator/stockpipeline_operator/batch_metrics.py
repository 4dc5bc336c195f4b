"""What the operator exports of the pipelines' batches."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from stockpipeline_operator.reconcile.batch_figures import BatchFigures, Key


class BatchMetrics:
    """Gauges of the runs, by pipeline. What is not known is not exported."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges: list[Gauge] = []

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            made = Gauge(
                f"stockpipeline_batch_{name}",
                text,
                ["pipeline_namespace", "pipeline", *labels],
                registry=registry,
            )
            self._gauges.append(made)
            return made

        self._overdue = gauge(
            "overdue",
            "1 while a session is not in the store and in Redis three hours after its run should have begun, "
            "else 0; not there while the pipeline is suspended",
        )
        self._done_session = gauge(
            "done_session_seconds",
            "Midnight UTC of the newest session that is in the store and in Redis, seconds since the epoch",
        )
        self._began = gauge(
            "began_seconds",
            "When the run began that is under way, seconds since the epoch; not there while none is",
        )
        self._ended = gauge("ended_seconds", "When the last run ended, seconds since the epoch")
        self._run = gauge(
            "run_seconds", "How long the last run took until Redis had it or it failed, retries included"
        )
        self._step = gauge(
            "step_seconds",
            "How long the newest try of each step took; of the download, its longest part",
            "step",
        )
        self._failure = gauge(
            "failure",
            "1 for the step and the error with which the last run failed; not there after one that succeeded",
            "step",
            "error",
        )
        self._minimum = gauge(
            "minimum_coverage_ratio", "Share of the stocks that must have the session's bar; 0 to 1"
        )

    def show(self, batches: Mapping[Key, BatchFigures]) -> None:
        """Show these pipelines' figures and no others."""
        for gauge in self._gauges:
            gauge.clear()
        for key, figures in batches.items():
            self._minimum.labels(*key).set(figures.minimum_coverage)
            for gauge, value in (
                (self._overdue, figures.overdue),
                (self._done_session, figures.done_session),
                (self._began, figures.began),
                (self._ended, figures.ended),
                (self._run, figures.run_seconds),
            ):
                if value is not None:
                    gauge.labels(*key).set(value)
            for step, seconds in figures.step_seconds:
                self._step.labels(*key, step).set(seconds)
            if figures.failure is not None:
                self._failure.labels(*key, *figures.failure).set(1)
