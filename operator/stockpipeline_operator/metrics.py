"""What the operator measures of itself."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PREFIX = "stockpipeline_operator_"


class OperatorMetrics:
    """The operator's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconciles = Counter(
            f"{_PREFIX}reconciles_total", "Passes over a pipeline, by result.", ["result"], registry=registry
        )
        self.duration = Histogram(
            f"{_PREFIX}reconcile_duration_seconds",
            "Duration of a pass over a pipeline.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.queue_depth = Gauge(
            f"{_PREFIX}queue_depth", "Pipelines that wait for a worker.", registry=registry
        )
        self.helm_operations = Counter(
            f"{_PREFIX}helm_operations_total",
            "Changes of Helm releases.",
            ["operation", "result"],
            registry=registry,
        )
        self.drift_corrections = Counter(
            f"{_PREFIX}drift_corrections_total", "Objects that were restored.", registry=registry
        )
        self.leading = Gauge(
            f"{_PREFIX}leading", "1 in the process that holds the Lease and works, else 0.", registry=registry
        )
        self.watch_age = Gauge(
            f"{_PREFIX}watch_age_seconds",
            "Seconds since the most silent watch of owned objects heard anything; it does every minute.",
            registry=registry,
        )
        self._pipelines = Gauge(
            f"{_PREFIX}pipelines", "Pipelines by condition.", ["condition", "status"], registry=registry
        )
        self._conditions = Gauge(
            f"{_PREFIX}pipeline_condition",
            "A condition of a pipeline's status: 1 true, 0 false; not there while it is unknown. "
            "Not `namespace`, which Prometheus sets to the operator's own.",
            ["pipeline_namespace", "pipeline", "condition"],
            registry=registry,
        )

    def helm_operation(self, operation: str, result: str) -> None:
        """Count one change of a release; the result is success or error."""
        self.helm_operations.labels(operation, result).inc()

    def show_pipelines(self, conditions: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
        """Show the conditions (type → status) of each pipeline (namespace, name)."""
        self._pipelines.clear()
        self._conditions.clear()
        for (namespace, name), statuses in conditions.items():
            for condition, status in statuses.items():
                self._pipelines.labels(condition, status).inc()
                if status != "Unknown":
                    self._conditions.labels(namespace, name, condition).set(status == "True")
