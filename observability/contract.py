"""The contract of the metrics: read from the classes that declare them, so it cannot differ from the code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from airflow_dags import probes
from stockpipeline.runtime.metrics import DetectorMetrics, PerformanceMetrics, ProducerMetrics
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.runtime.store_metrics import ReplicaMetrics, StoreMetrics
from stockpipeline_operator.batch_metrics import BatchMetrics
from stockpipeline_operator.metrics import OperatorMetrics


class Component(StrEnum):
    """Who emits a metric; the label `component` of what Prometheus scrapes."""

    PRODUCER = "producer"
    DETECTOR = "detector"
    STORE = "store"
    REPLICA = "replica"
    OPERATOR = "operator"
    AIRFLOW = "airflow"


_DECLARED: tuple[tuple[Component, Callable[[CollectorRegistry], object]], ...] = (
    (Component.PRODUCER, lambda registry: ProducerMetrics(registry, "")),
    (Component.PRODUCER, lambda registry: SourceMetrics(registry, "")),
    (Component.DETECTOR, lambda registry: DetectorMetrics(registry, "")),
    (Component.DETECTOR, lambda registry: PerformanceMetrics(registry, "")),
    (Component.STORE, lambda registry: StoreMetrics(registry, "")),
    (Component.REPLICA, lambda registry: ReplicaMetrics(registry, "")),
    (Component.OPERATOR, OperatorMetrics),
    (Component.OPERATOR, BatchMetrics),
)

TARGET_LABELS = frozenset({"cluster", "namespace", "pod", "component", "job", "instance"})
"""Labels that whoever scrapes adds; `cluster` only where Prometheus has it as an external label."""

BOUNDS: Mapping[str, str] = {
    "pipeline": "StockPipelines; a process has one, the operator all",
    "pipeline_namespace": "the StockPipelines' namespaces",
    "source": "the pipeline's `sources`",
    "rule": "the pipeline's `rules`",
    "side": "`buy`, `sell`",
    "horizon": "the pipeline's `performance.horizons`",
    "topic": "`signals`, `performance`",
    "error": "kinds of errors, a fixed list in the code",
    "outcome": "what may become of a download, a fixed list in the code",
    "problem": "kinds of problems, a fixed list in the code",
    "step": "the steps of the batch",
    "part": "`api`, `scheduler`, `dag_processor`",
    "reason": "a fixed list in the code",
    "state": "a fixed list in the code",
    "table": "tables of the store",
    "stage": "`take`, `produce`, `commit`",
    "result": "a fixed list in the code",
    "operation": "a fixed list in the code",
    "condition": "the types of conditions of a StockPipeline",
    "status": "`True`, `False`, `Unknown`",
}
"""Every label that our metrics may have, and what bounds the number of its values. A symbol is none."""


@dataclass(frozen=True)
class Metric:
    """One exported metric; `name` is as in a query, but a histogram's is without its suffix."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    component: Component
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, infinity included."""

    @property
    def unit(self) -> str:
        """The base unit in the name, else "count"; gauges of 0 and 1 say so in their meaning."""
        last = self.name.removesuffix("_total").rsplit("_", 1)[-1]
        return last if last in ("seconds", "bytes", "ratio") else "count"

    @property
    def series_names(self) -> tuple[str, ...]:
        """The names under which Prometheus has it."""
        if self.kind != "histogram":
            return (self.name,)
        # The sum of what may be negative is no counter; the client leaves it out.
        sums = () if self.buckets[0] < 0 else (f"{self.name}_sum",)
        return (f"{self.name}_bucket", *sums, f"{self.name}_count")


class _Recorder(CollectorRegistry):
    """Remembers what registers itself; a registry does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.collectors: list[MetricWrapperBase] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        assert isinstance(collector, MetricWrapperBase)
        self.collectors.append(collector)


def contract() -> list[Metric]:
    """Return all metrics of our components, in the order of their declaration."""
    metrics = []
    for component, declare in _DECLARED:
        registry = _Recorder()
        declare(registry)
        metrics += [_metric(collector, component) for collector in registry.collectors]
    for gauge in (probes.HEALTHY, probes.PIPELINES):
        metrics.append(Metric(gauge.name, "gauge", gauge.labels, gauge.meaning, Component.AIRFLOW))
    return metrics


def _metric(collector: MetricWrapperBase, component: Component) -> Metric:
    (described,) = collector.describe()
    # Neither labels nor buckets are told by anything public while a metric has no value.
    buckets = getattr(collector, "_upper_bounds", None) or collector._kwargs.get("buckets", ())
    return Metric(
        name=described.name + ("_total" if described.type == "counter" else ""),
        kind=described.type,
        labels=tuple(collector._labelnames),
        meaning=described.documentation.removesuffix("."),
        component=component,
        buckets=tuple(buckets),
    )
