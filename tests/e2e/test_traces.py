"""Traces leave the cluster's pods, through every NetworkPolicy between them and a collector."""

from __future__ import annotations

from cluster.shell import wait_until
from tests.e2e.conftest import Deployment, pipeline, replay
from tests.e2e.test_story import wait_finished
from tests.integration.observability.collector import Collector
from tests.listener import Listener

SPANS = {"signal", "tick waits and is evaluated", "signal is sent and committed"}
ARRIVE_TIMEOUT = 120.0


def test_each_signal_is_a_trace_at_the_collector_that_the_resource_names(
    deployment: Deployment, namespace: str
) -> None:
    listener = Listener(deployment, namespace, "collector", 4318, deployment.services_image())
    days = replay(start="2008-09-02", end="2008-09-30")
    deployment.apply(pipeline(namespace, "traced", sources=[days], tracing={"endpoint": listener.url}))
    deployment.wait_ready(namespace, "traced")
    wait_finished(deployment, namespace, "traced")
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
