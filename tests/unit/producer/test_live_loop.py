"""The end of the live loop: what waits for Kafka is handed over, whatever the sources do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.bars import BarSeries
from stockpipeline.producer import live
from stockpipeline.producer.live import LiveLoop
from stockpipeline.producer.router import Router
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.chain import Chain, SourceTerms
from stockpipeline.sources.live import Sink


class Stubborn:
    """Does not end when it is cancelled once; notes whether the loop had handed over by the second time."""

    name = "stubborn"

    def __init__(self, shutdown: Shutdown, handed_over: list[str]) -> None:
        self._shutdown = shutdown
        self._handed_over = handed_over
        self.before_the_end: list[str] = []

    def want(self, symbols: Collection[str]) -> None:
        pass

    async def history(self, symbol: str, bars: int) -> BarSeries:
        return BarSeries.empty()

    async def run(self, sink: Sink) -> None:
        self._shutdown.request()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await asyncio.Event().wait()
            finally:
                self.before_the_end = list(self._handed_over)


def test_a_source_that_does_not_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_STOP_SECONDS", 0.01)
    producer = KafkaProducer("127.0.0.1:1", "test", "ticks")
    flushed: list[str] = []

    def flush(seconds: float) -> int:
        flushed.append("flushed")
        return 0

    monkeypatch.setattr(producer, "flush", flush)
    registry = CollectorRegistry()
    router = Router(
        Chain(["AAPL"], [SourceTerms("stubborn", 60_000)], lambda now: now, 0),
        producer,
        "dead-letter",
        SourceMetrics(registry, "test"),
    )
    shutdown = Shutdown(30.0)
    source = Stubborn(shutdown, flushed)
    metrics, readiness = ProducerMetrics(registry, "test"), Readiness(["kafka"])
    assert LiveLoop([source], router, producer, metrics, readiness, Heartbeat(), shutdown).run() == 0
    assert source.before_the_end == ["flushed"]
