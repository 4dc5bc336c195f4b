"""Traces leave the cluster's pods, through every NetworkPolicy between them and a collector."""

from __future__ import annotations

from cluster.shell import wait_until
from tests.e2e.conftest import Deployment, pipeline, replay
from tests.integration.observability.collector import Collector
from tests.listener import Listener

SPANS = {"signal", "tick waits and is evaluated", "signal is sent and committed"}
ARRIVE_TIMEOUT = 120.0


def test_each_signal_is_a_trace_at_the_collector_that_the_resource_names(
    deployment: Deployment, namespace: str
) -> None:
    pod = deployment.get("deployment", "demo-detector", "--namespace", "default")["spec"]["template"]["spec"]
    listener = Listener(deployment, namespace, "collector", 4318, pod["containers"][0]["image"])
    days = replay(start="2008-09-02", end="2008-09-30")
    deployment.apply(pipeline(namespace, "traced", sources=[days], tracing={"endpoint": listener.url}))
    deployment.wait_ready(namespace, "traced")

    def finished() -> bool:
        labels = f'namespace="{namespace}", pipeline="traced"'
        return (
            deployment.value(f"stockpipeline_producer_exhausted{{{labels}}}") == 1
            and deployment.value(f"stockpipeline_detector_lag_records{{{labels}}}") == 0
        )

    wait_until(finished, ARRIVE_TIMEOUT, "all ticks are read")
    signals = deployment.signals(namespace, "traced")
    assert signals

    def came() -> Collector:
        collector = Collector(0)
        for body in listener.bodies():
            collector.take(body)
        return collector

    wait_until(
        lambda: all(came().of(signal["id"]).keys() == SPANS for signal in signals),
        ARRIVE_TIMEOUT,
        "the spans of all signals arrive",
    )
    collector = came()
    for signal in signals:
        first = collector.of(signal["id"])["signal"]
        assert first.attributes["stockpipeline.symbol"] == signal["symbol"]
        assert first.resource["service.name"] == "stockpipeline-detector"
        assert first.resource["stockpipeline.pipeline"] == f"{namespace}/traced"
