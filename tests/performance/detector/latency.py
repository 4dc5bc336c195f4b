"""How long it takes from sending a tick until a consumer has the signal that it gave."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from cluster.progress import Progress
from stockpipeline.api import DEFAULT_RULES, Topic
from tests.performance.detector import workload
from tests.performance.detector.contenders.job import Job
from tests.performance.detector.servers import ContenderFailed, Servers, result
from tests.performance.detector.throughput import PARTITIONS, SYMBOLS

_WARM_UP_SECONDS = 2.0
_START_SECONDS = 120.0


def p99_ms(servers: Servers, guarantee: str, rate: int, seconds: float, progress: Progress) -> float:
    """Send ticks at a rate (per second) for so long; return the 99th percentile of the delays.

    Raises:
        ContenderFailed: signals are missing.
    """
    name = f"latency-{guarantee.lower()}-{rate}"
    rules = [*(rule.model_dump(by_alias=True, mode="json") for rule in DEFAULT_RULES), workload.OFTEN]
    config = workload.pipeline(
        name,
        servers.kafka,
        servers.redis,
        SYMBOLS,
        PARTITIONS,
        rules=rules,
        delivery={"guarantee": guarantee},
    )
    servers.create(config)
    (servers.folder / f"{name}.json").write_text(config.to_json())
    gate = servers.folder / f"gate-{name}"
    gate.touch()
    count = int(rate * (seconds + _WARM_UP_SECONDS))
    job = Job(servers.kafka, "", "", name, count, config=str(servers.folder / f"{name}.json"), gate=str(gate))
    detector = servers.start("detector", job, name)
    sent: dict[tuple[str, int], float] = {}
    read: dict[tuple[str, int], float] = {}
    reader_ready, stop = threading.Event(), threading.Event()
    reader = threading.Thread(
        target=_read, args=(servers.kafka, config.names.topic(Topic.SIGNALS), read, reader_ready, stop)
    )
    reader.start()
    try:
        reader_ready.wait(30)
        restored = gate.with_name(f"{gate.name}.{name}.restored")
        deadline = time.monotonic() + _START_SECONDS
        while not restored.exists():
            if time.monotonic() > deadline:
                raise ContenderFailed(f"{name}: the detector is not ready after {_START_SECONDS:.0f} s")
            time.sleep(0.1)
        with progress.step(f"{rate:,} ticks/s for {seconds:.0f} s, {guarantee}"):
            began = _send(servers.kafka, config.names.topic(Topic.TICKS), rate, count, sent)
            result(detector, 60)
            time.sleep(1.0)
    finally:
        stop.set()
        detector.kill()
        reader.join()
    delays = [
        (moment - sent[key]) * 1000 for key, moment in read.items() if sent[key] >= began + _WARM_UP_SECONDS
    ]
    if len(delays) < 100:
        raise ContenderFailed(f"only {len(delays)} signals of {count} ticks were read")
    progress.note(f"{len(delays):,} signals, median {np.percentile(delays, 50):.1f} ms")
    return float(np.percentile(delays, 99))


def _send(kafka: str, topic: str, rate: int, count: int, sent: dict[tuple[str, int], float]) -> float:
    """Send at an even pace, noting when; return when it began."""
    ticks = list(workload.one_signal_a_session(SYMBOLS, count))
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "partitioner": "murmur2_random",
            "linger.ms": 1,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    began = time.time()
    for number, (symbol, ts, value) in enumerate(ticks):
        due = began + number / rate
        while (now := time.time()) < due:
            producer.poll(0)
            time.sleep(min(0.001, due - now))
        sent[symbol, ts] = now
        producer.produce(topic, value, symbol)
    assert producer.flush(60) == 0
    return began


def _read(
    kafka: str,
    topic: str,
    read: dict[tuple[str, int], float],
    ready: threading.Event,
    stop: threading.Event,
) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    ready.set()
    while not stop.is_set():
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            continue
        moment = time.time()
        signal = json.loads(message.value() or b"")
        if signal["rule"] == workload.OFTEN["name"]:
            read[signal["symbol"], signal["ts"]] = moment
    consumer.close()
