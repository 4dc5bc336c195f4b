"""What a producer of live sources says of the exchange, whatever the sources do."""

from __future__ import annotations

from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.api import PipelineConfig
from stockpipeline.producer import live_producer
from stockpipeline.producer.frame import Frame
from stockpipeline.producer.live_producer import LiveProducer
from stockpipeline.runtime.health import Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.shutdown import Shutdown


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2024-07-02T10:00-04:00", 1),
        ("2024-07-02T09:29-04:00", 0),
        ("2024-07-03T12:59-04:00", 1),
        ("2024-07-03T13:01-04:00", 0),  # a half day
        ("2024-07-04T10:00-04:00", 0),  # a holiday
        ("2024-07-06T10:00-04:00", 0),  # a Saturday
    ],
)
def test_the_exchange_is_open_in_its_sessions(
    monkeypatch: pytest.MonkeyPatch, when: str, is_open: float
) -> None:
    config = PipelineConfig.model_validate(
        {
            "namespace": "test",
            "name": "demo",
            "spec": {
                "universe": {"symbols": ["AAPL"], "exchange": "XNAS"},
                "sources": [{"name": "yahoo", "yahoo": {}}],
                "kafka": {"bootstrapServers": "unused:9092"},
                "redis": {"url": "redis://unused:6379/0"},
            },
        }
    )
    registry = CollectorRegistry()
    metrics = ProducerMetrics(registry, config.name)
    monkeypatch.setattr(
        live_producer, "wall_ms", lambda: int(datetime.fromisoformat(when).timestamp() * 1000)
    )
    LiveProducer(Frame(config, Shutdown(1), registry, Readiness(["kafka", "resume"]), metrics), None)
    found = registry.get_sample_value("stockpipeline_producer_session_open", {"pipeline": "demo"})
    assert found == is_open
