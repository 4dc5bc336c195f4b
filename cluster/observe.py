"""Reads what runs in a cluster: the pipelines from its API, their figures from its Prometheus."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.backend import Cluster
from cluster.shell import CommandError, run

CONFIG_PATH = "/etc/stockpipeline/pipeline.json"  # where the chart mounts it
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has another loopback
# (namespace, name) of a StockPipeline.
Key = tuple[str, str]

TICK_RATE = "sum by (namespace, pipeline) (rate(stockpipeline_producer_ticks_total[30s]))"
SIGNALS = "sum by (namespace, pipeline) (stockpipeline_detector_signals_total)"
LAG = "sum by (namespace, pipeline) (stockpipeline_detector_lag_records)"


@dataclass(frozen=True)
class PipelineState:
    """One StockPipeline as a person wants to see it. A figure that is not known is None, never 0."""

    namespace: str
    name: str
    ready: bool
    message: str
    ticks_per_second: float | None
    signals: float | None
    lag: float | None


def kubectl(cluster: Cluster, *arguments: str, timeout: float = 60) -> str:
    """Run kubectl against the cluster and return what it prints."""
    return run([cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *arguments], timeout=timeout).stdout


def apply(cluster: Cluster, resource: Mapping[str, Any]) -> None:
    """Bring a resource, or a List of them, to the cluster."""
    run(
        [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--filename", "-"],
        input=json.dumps(resource),
    )


def pipelines(cluster: Cluster, prometheus: str) -> list[PipelineState]:
    """Return every StockPipeline of the cluster, by namespace and name."""
    listed = json.loads(kubectl(cluster, "get", "stockpipelines", "--all-namespaces", "--output", "json"))
    figures = {
        field: by_pipeline(prometheus, query)
        for field, query in (("ticks_per_second", TICK_RATE), ("signals", SIGNALS), ("lag", LAG))
    }
    states = []
    for item in listed["items"]:
        key = (item["metadata"]["namespace"], item["metadata"]["name"])
        ready, message = readiness(item)
        states.append(
            PipelineState(
                *key,
                ready=ready,
                message=message,
                ticks_per_second=figures["ticks_per_second"].get(key),
                signals=figures["signals"].get(key),
                lag=figures["lag"].get(key),
            )
        )
    return sorted(states, key=lambda state: (state.namespace, state.name))


def readiness(resource: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether a resource's Ready condition holds for its current generation, and its sentence."""
    status = resource.get("status", {})
    ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), None)
    if ready is None or ready.get("observedGeneration", 0) < resource["metadata"]["generation"]:
        return False, "not looked at by the operator yet"
    return ready["status"] == "True", ready.get("message", "")


def by_pipeline(prometheus: str, query: str) -> dict[Key, float]:
    """Run an instant query whose result has the labels namespace and pipeline.

    Empty where Prometheus does not answer: the table then shows that nothing is known.
    """
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with _DIRECT.open(url, timeout=5) as response:
            series = json.load(response)["data"]["result"]
    except (urllib.error.URLError, OSError, ValueError):
        return {}
    values = {
        (one["metric"]["namespace"], one["metric"]["pipeline"]): float(one["value"][1])
        for one in series
        if {"namespace", "pipeline"} <= one["metric"].keys()
    }
    return {key: value for key, value in values.items() if math.isfinite(value)}


def last_signals(cluster: Cluster, namespace: str, name: str, count: int) -> str:
    """Return the newest signals of a pipeline as lines, or "" where it has none to show."""
    try:
        return kubectl(
            cluster, "exec", "--namespace", namespace, f"deployment/{name}-detector", "--",
            "stockpipeline", "signals", "--config", CONFIG_PATH, "--last", str(count),
        )  # fmt: skip
    except CommandError:
        return ""


def table(states: list[PipelineState]) -> str:
    """Render the pipelines as aligned columns."""
    rows = [("PIPELINE", "READY", "TICKS/S", "SIGNALS", "LAG", "")]
    rows += [
        (
            f"{state.namespace}/{state.name}",
            "yes" if state.ready else "no",
            _figure(state.ticks_per_second, ".1f"),
            _figure(state.signals, ".0f"),
            _figure(state.lag, ".0f"),
            "" if state.ready else state.message,
        )
        for state in states
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = (
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]])
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
