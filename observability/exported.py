"""All series that a query may read, with their labels: ours, recorded ones, and a few of others."""

from collections.abc import Iterable, Mapping

from observability.alerts import LOCAL
from observability.alerts.rule import Recording
from observability.contract import TARGET_LABELS, contract
from observability.promql import labels_of

FOREIGN: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "process_start_time_seconds": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "python_gc_collections_total": frozenset({"generation"}),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "pipeline"}),
    "kafka_controller_offlinepartitionscount": frozenset(),
    "redis_up": frozenset(),
    "redis_memory_used_bytes": frozenset(),
    "redis_memory_max_bytes": frozenset(),
}
"""What Prometheus, its Python client, and the exporters of Kafka and Redis in our images export."""


def exported() -> dict[str, frozenset[str]]:
    """Return the labels of every series by its name, those that the scrape adds included."""
    known = {name: labels | TARGET_LABELS for name, labels in FOREIGN.items()}
    for metric in contract():
        for name in metric.series_names:
            bucket = {"le"} if name.endswith("_bucket") else set()
            known[name] = frozenset({*metric.labels, *bucket, *TARGET_LABELS})
    known.update(_recorded(known))
    return known


def _recorded(known: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    series = dict(known)
    for rule in _recordings():
        series[rule.name] = labels_of(rule.expr, series) | set(rule.labels)
    return {rule.name: series[rule.name] for rule in _recordings()}


def _recordings() -> Iterable[Recording]:
    return (rule for group in LOCAL for rule in group.rules if isinstance(rule, Recording))
