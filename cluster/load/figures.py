"""What the cluster's Prometheus saw of a load: how things went over time, and delays over the whole of it."""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.load.resource import NAME, NAMESPACE

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has another loopback
_STEP = 5  # seconds; how often Prometheus scrapes
_OF = f'namespace="{NAMESPACE}", pipeline="{NAME}"'
_PODS = f'namespace="{NAMESPACE}", pod=~"{NAME}-.*"'

TICK_TO_SIGNAL = "stockpipeline_detector_tick_to_signal_seconds"
COMMIT_TO_READABLE = "stockpipeline_replica_freshness_seconds"


@dataclass(frozen=True)
class Subject:
    """What is drawn together: lines by their names. `by` is the label that tells a query's lines apart."""

    title: str
    unit: str
    queries: Mapping[str, str]
    by: str = ""


def _rate(metric: str, seconds: int = 30) -> str:
    return f"sum(rate({metric}{{{_OF}}}[{seconds}s]))"


def _count(metric: str) -> str:
    return f"sum(increase({metric}{{{_OF}}}[30s]))"


def _quantile(metric: str, share: float) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{{_OF}}}[1m])))"


SUBJECTS = {
    "throughput": Subject(
        "Throughput",
        "ticks/s",
        {
            "sent by the producer": _rate("stockpipeline_producer_ticks_total"),
            "taken by the detector": _rate("stockpipeline_detector_ticks_total"),
        },
    ),
    "signals": Subject(
        "Signals", "signals/s", {"committed": _rate("stockpipeline_detector_signals_total", 60)}
    ),
    "latency": Subject(
        "Delay from a tick's arrival in Kafka to its readable signal",
        "s",
        {f"p{share * 100:g}": _quantile(TICK_TO_SIGNAL, share) for share in (0.5, 0.95, 0.99)},
    ),
    "lag": Subject(
        "Ticks that wait", "records", {"lag": f"sum(stockpipeline_detector_lag_records{{{_OF}}})"}
    ),
    "errors": Subject(
        "Errors",
        "in 30 s",
        {
            "transactions aborted": _count("stockpipeline_detector_transactions_aborted_total"),
            "ticks refused by Kafka": _count("stockpipeline_producer_delivery_failures_total"),
            "pulls failed": _count("stockpipeline_replica_pull_failures_total"),
        },
    ),
    "memory": Subject(
        "Memory",
        "MiB",
        {"memory": f"sum by (component) (process_resident_memory_bytes{{{_PODS}}}) / 2^20"},
        by="component",
    ),
}

# (seconds since the epoch, value)
Points = list[tuple[float, float]]


class Prometheus:
    """The cluster's Prometheus at an address such as http://127.0.0.1:19090."""

    def __init__(self, address: str) -> None:
        self._address = address

    def value(self, query: str) -> float | None:
        """Return the one value of an instant query; None where there is none, or where nobody answers."""
        try:
            found = self._ask("query", {"query": query})["result"]
        except (OSError, ValueError):
            return None
        return float(found[0]["value"][1]) if found else None

    def buckets(self, metric: str, at: float, seconds: float) -> dict[float, float]:
        """Return what a histogram observed in the seconds before `at`, by upper bound; {} without any."""
        query = f"sum by (le) (increase({metric}_bucket{{{_OF}}}[{math.ceil(seconds)}s]))"
        found = self._ask("query", {"query": query, "time": f"{at:.3f}"})["result"]
        return {float(one["metric"]["le"]): float(one["value"][1]) for one in found}

    def lines(self, subject: Subject, start: float, end: float) -> dict[str, Points]:
        """Return a subject's lines between two times; where nothing is known a line has no point."""
        lines: dict[str, Points] = {}
        for name, query in subject.queries.items():
            parameters = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": str(_STEP)}
            for one in self._ask("query_range", parameters)["result"]:
                values = [(float(at), float(value)) for at, value in one["values"]]
                label = one["metric"].get(subject.by, name) if subject.by else name
                lines[label] = [(at, value) for at, value in values if math.isfinite(value)]
        return lines

    def _ask(self, what: str, parameters: Mapping[str, str]) -> Any:
        url = f"{self._address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with _DIRECT.open(url, timeout=30) as response:
            return json.load(response)["data"]


def finished() -> str:
    """Return a query that is 1 when the replay is over and all of its ticks are processed."""
    of = f"{{{_OF}}}"
    return (
        f"min(stockpipeline_producer_exhausted{of}) == 1 and sum(stockpipeline_detector_lag_records{of}) == 0"
    )
