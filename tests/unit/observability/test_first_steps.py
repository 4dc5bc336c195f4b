"""Counters behind alerts begin at zero: Prometheus sees no increase in one that begins with a count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.ticks import MalformedReason
from stockpipeline.producer.router import Router
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.sources.chain import Chain, SourceTerms


def test_dead_letters_of_each_source_begin_at_zero() -> None:
    registry = CollectorRegistry()
    terms = [SourceTerms("kis", 60_000), SourceTerms("yahoo", 60_000)]
    chain = Chain(["AAPL"], terms, lambda now: now, 0)
    Router(chain, KafkaProducer("127.0.0.1:1", "test", "ticks"), "letters", SourceMetrics(registry, "demo"))
    for source in ("kis", "yahoo"):
        for reason in MalformedReason:
            labels = {"pipeline": "demo", "source": source, "reason": reason}
            assert registry.get_sample_value("stockpipeline_producer_dead_letters_total", labels) == 0


def test_records_that_the_store_refuses_begin_at_zero() -> None:
    registry = CollectorRegistry()
    StoreMetrics(registry, "demo")
    for topic in ("signals", "performance"):
        labels = {"pipeline": "demo", "topic": topic}
        assert registry.get_sample_value("stockpipeline_store_refused_records_total", labels) == 0
