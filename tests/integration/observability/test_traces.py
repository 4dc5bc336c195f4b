"""Traces as a collector gets them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from stockpipeline.api import Guarantee, PipelineConfig, Topic
from stockpipeline.cli.history import load
from stockpipeline.runtime import logs, redaction, tracing
from stockpipeline.runtime.health import Heartbeat
from stockpipeline_operator.controller.work_queue import WorkQueue
from stockpipeline_operator.controller.workers import Workers
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.reconciler import Key, Retry
from tests.integration.observability.collector import Collector, collecting
from tests.integration.services.conftest import StartService, start
from tests.integration.services.support import (
    Service,
    create_topics,
    eventually,
    headers,
    pipeline,
    read_all,
    values,
)

__all__ = ["start"]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
DAYS = {"start": "2013-01-02", "end": "2013-03-28", "ticksPerBar": 12}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture
def tracer(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Traces of this process."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken-of-the-collector")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=desk")
    tracing.configure("operator", "desk/nasdaq")
    yield collector
    tracing.close()


def signalled(config: PipelineConfig, producer: Service, detector: Service) -> list[Message]:
    """The records of all signals, once all ticks are sent, processed and committed."""
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    sent = producer.metric("stockpipeline_producer_ticks_total")
    eventually(lambda: detector.metric("stockpipeline_detector_ticks_total") == sent, "all are processed")
    eventually(lambda: detector.metric("stockpipeline_detector_lag_records") == 0, "all are committed")
    counted = "stockpipeline_detector_signals_total"
    topic = config.names.topic(Topic.SIGNALS)
    eventually(
        lambda: len(read_all(config.bootstrap_servers, topic)) == detector.metric(counted) > 0,
        "signals can be read",
    )
    return read_all(config.bootstrap_servers, topic)


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_a_signal_is_one_trace_from_its_tick_to_the_replicas(
    guarantee: Guarantee, kafka: str, redis: str, collector: Collector, start: StartService, tmp_path: Path
) -> None:
    sync = {"schedule": {"publish": "200ms", "pull": "200ms", "scrub": "1s"}, "retention": {"all": "1h"}}
    name = f"traced-{guarantee.value.lower()}"
    delivery = {"guarantee": guarantee.value}
    config = pipeline(name, kafka, redis, replay=DAYS, store={}, replicaSync=sync, delivery=delivery)
    create_topics(config)
    assert load(config) == 0
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **SOON}
    detector = start("detector", config, environment=traced)
    start("store", config, environment={**traced, "STOCKPIPELINE_DATA": str(tmp_path / "data")})
    producer = start("producer", config, environment=traced)
    records = signalled(config, producer, detector)
    signals = list(values(records))
    assert signals

    whole = {"signal", "tick waits and is evaluated", "signal is sent and committed",
             "signal is stored", "signal is published"}  # fmt: skip
    eventually(
        lambda: all(collector.of(signal["id"]).keys() == whole for signal in signals), "all spans arrive", 60
    )
    for record, signal in zip(records, signals, strict=True):
        spans = collector.of(signal["id"])
        first = spans["signal"]
        assert first.parent_id == ""
        assert headers(record)["traceparent"] == f"00-{signal['id']}-{first.span_id}-01"
        assert {span.parent_id for name, span in spans.items() if name != "signal"} == {first.span_id}
        assert first.attributes["stockpipeline.symbol"] == signal["symbol"]
        assert first.attributes["stockpipeline.event_ms"] == signal["ts"]
        assert first.began <= spans["signal is sent and committed"].began <= first.ended
        assert first.resource["service.name"] == "stockpipeline-detector"
        assert first.resource["stockpipeline.pipeline"] == f"test/{name}"
        assert spans["signal is stored"].resource["service.name"] == "stockpipeline-store"
        assert spans["signal is published"].attributes["stockpipeline.generation"] > 0
    told = [json.loads(line) for line in detector.process.log.read_text().splitlines()]
    logged = {line["signal_id"]: line["trace_id"] for line in told if line["event"] == "signal"}
    assert logged == {signal["id"]: signal["id"] for signal in signals}


def test_signals_of_who_asks_for_no_traces_have_no_headers(
    kafka: str, redis: str, start: StartService
) -> None:
    config = pipeline("untraced", kafka, redis, replay=DAYS)
    create_topics(config)
    assert load(config) == 0
    detector, producer = start("detector", config), start("producer", config)
    records = signalled(config, producer, detector)
    assert records
    assert [headers(record) for record in records] == [{}] * len(records)
    assert "trace_id" not in detector.process.log.read_text()


def test_a_failed_step_says_so_below_what_it_is_a_part_of(tracer: Collector) -> None:
    stream = io.StringIO()
    logs.configure(stream, component="operator")
    redaction.conceal("s3cret-of-kis")

    def install() -> None:
        with tracing.span("install release"):
            structlog.get_logger().warning("not done")
            raise ValueError("refused: s3cret-of-kis")

    with tracing.span("reconcile", namespace="desk", pipeline="nasdaq", key="s3cret-of-kis"):
        with pytest.raises(ValueError, match="refused"):
            install()
        structlog.get_logger().info("done")
    structlog.get_logger().info("outside")
    tracing.close()

    parts = {span.name: span for span in tracer.spans}
    whole, step = parts["reconcile"], parts["install release"]
    assert step.parent_id == whole.span_id
    assert (step.failed, whole.failed) == ("ValueError: refused: ***", "")
    assert whole.attributes["stockpipeline.pipeline"] == "nasdaq"
    inner, outer, none = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (inner["trace_id"], inner["span_id"]) == (step.trace_id, step.span_id)
    assert (outer["trace_id"], outer["span_id"]) == (whole.trace_id, whole.span_id)
    assert "trace_id" not in none
    # Neither attributes nor the exception with its traceback take a secret along.
    assert all(b"s3cret-of-kis" not in body for body in tracer.bodies)


def test_what_is_asked_of_the_sdk_holds_and_the_token_is_never_logged(tracer: Collector) -> None:
    stream = io.StringIO()
    logs.configure(stream, component="operator")
    with tracing.span("reconcile"):
        structlog.get_logger().info("headers", sent="Bearer t0ken-of-the-collector")
    tracing.close()
    assert tracer.headers[0]["authorization"] == "Bearer t0ken-of-the-collector"
    (span,) = tracer.spans
    assert span.resource["deployment.environment.name"] == "desk"
    assert span.resource["service.name"] == "stockpipeline-operator"
    assert "t0ken" not in stream.getvalue()


def test_the_environment_names_the_service_and_the_share(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk-signals")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    tracing.configure("detector")
    ids = [tracing.trace_id_of(str(number)) for number in range(400)]
    opened = {one: tracing.begin("signal", one, time.time() * 1000) for one in ids}
    for span in opened.values():
        if span is not None:
            span.end(time.time() * 1000)
    made = {one for one, span in opened.items() if span is not None}
    tracing.close()
    assert 60 < len(made) < 140
    assert {span.trace_id for span in collector.spans} == made
    assert {span.resource["service.name"] for span in collector.spans} == {"desk-signals"}


def test_a_trace_that_somebody_made_up_is_left_out(tracer: Collector) -> None:
    begun = time.time() * 1000
    for made_up in ("", "00-xyz", f"00-{TRACE}-0000000000000000-01", "ff" * 40):
        tracing.add("signal is stored", made_up, begun, begun + 1)
    tracing.add("signal is stored", f"00-{TRACE}-00f067aa0ba902b7-00", begun, begun + 1)  # not sampled
    tracing.add("signal is stored", f"00-{TRACE}-00f067aa0ba902b7-01", begun, begun + 1)
    tracing.close()
    (span,) = tracer.spans
    assert (span.trace_id, span.parent_id) == (TRACE, "00f067aa0ba902b7")


def test_a_collector_that_is_away_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing.configure("detector")
    begun = time.monotonic()
    for _ in range(5000):  # more than the queue has room for
        with tracing.span("pass"):
            pass
    assert time.monotonic() - begun < 5
    tracing.close()
    assert time.monotonic() - begun < 10


def test_all_steps_of_a_night_are_one_trace_and_say_how_they_failed(
    collector: Collector, tmp_path: Path
) -> None:
    """Each step is a process of its own; nothing was downloaded, so both fail."""
    file = tmp_path / "pipeline.json"
    file.write_text(pipeline("nasdaq", "localhost:9092", "redis://localhost:6379/0").to_batch_json())
    night = ("--config", str(file), "--lake", str(tmp_path / "lake"), "--session", "2026-11-20")
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    for step in ("gate", "scan"):
        command = [sys.executable, "-m", "stockpipeline.cli", "batch", step, *night]
        assert subprocess.run(command, env=environment, check=False).returncode == 1
    spans = collector.of(tracing.trace_id_of("batch", "test", "nasdaq", "2026-11-20"))
    assert spans.keys() == {"batch gate", "batch scan"}
    for span in spans.values():
        assert span.failed
        assert span.resource["service.name"] == "stockpipeline-batch"
        assert span.resource["stockpipeline.pipeline"] == "test/nasdaq"


def test_a_pass_of_the_operator_is_a_trace(tracer: Collector) -> None:
    queue: WorkQueue[Key] = WorkQueue()
    told = threading.Event()

    def reconcile(key: Key) -> None:
        told.set()
        raise Retry(f"{key[1]}: Kafka is away")

    workers = Workers(1, queue, reconcile, OperatorMetrics(CollectorRegistry()), Heartbeat())
    workers.start()
    queue.add(("desk", "nasdaq"))
    assert told.wait(20)
    workers.stop()
    tracing.close()
    span = tracer.spans[0]
    assert (span.name, span.parent_id, span.failed) == ("reconcile", "", "Retry: nasdaq: Kafka is away")
    assert span.attributes == {"stockpipeline.namespace": "desk", "stockpipeline.pipeline": "nasdaq"}
