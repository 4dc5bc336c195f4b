"""How long it takes from sending a tick until a consumer has the signal that it gave."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
from confluent_kafka import Producer

from cluster.progress import Progress
from stockpipeline.adapters.kafka_producer import LINGER_MS
from stockpipeline.api import DEFAULT_RULES, Guarantee, PipelineConfig, Topic
from tests.performance.detector import workload
from tests.performance.detector.contenders.gate import Gate, Sign
from tests.performance.detector.contenders.job import Job
from tests.performance.detector.servers import ContenderFailed, Servers, result
from tests.performance.detector.throughput import PARTITIONS, SYMBOLS

WARM_UP_SECONDS = 60.0
"""Each symbol begins with the slow ticks of a new bar, and the broker's compilers have to see the paths: they
take a third of both cores for 50 s at 2,000 ticks/s."""
SIGNALS_A_SECOND = 62.5
"""At any rate of ticks, as is the case when a market gets busier."""
# Commits that nobody waits for come as seldom as those of Kafka's own consumers.
_DELIVERY = {
    Guarantee.AT_LEAST_ONCE: {"guarantee": "AtLeastOnce", "commitInterval": "5s"},
    Guarantee.EXACTLY_ONCE: {"guarantee": "ExactlyOnce", "commitInterval": "100ms"},
}
_SLICE_SECONDS = 0.001
_START_SECONDS = 120.0


def p99_ms(
    servers: Servers,
    guarantee: Guarantee,
    rate: int,
    seconds: float,
    progress: Progress,
    contender: str = "detector",
) -> tuple[float, float]:
    """Send ticks at a rate (per second) for so long; return median and 99th percentile of the delays.

    A delay begins when the tick is handed to the sending client and ends when the reading client hands over
    its signal. Sender, detector (or another contender that answers) and reader are processes of their own.

    Raises:
        ContenderFailed: signals are missing.
    """
    config = _pipeline(servers, guarantee, rate, contender)
    gate = Gate(str(servers.folder / config.name))
    path = servers.folder / f"{config.name}.json"
    path.write_text(config.to_json())
    gate.open.give()
    count = int(rate * (seconds + WARM_UP_SECONDS))
    ticks = list(workload.one_signal_a_session(SYMBOLS, count, round(rate / SIGNALS_A_SECOND)))
    ticks_topic, signals_topic = config.names.topic(Topic.TICKS), config.names.topic(Topic.SIGNALS)
    job = Job(servers.kafka, ticks_topic, signals_topic, config.name, count, config=str(path), gate=gate.path)
    detector = servers.start(contender, job, config.name)
    reader, found = _start_reader(servers, config, gate)
    try:
        for one in (config.name, _reader(config)):
            _await(gate.ready(one), f"{one} is not ready")
        with progress.step(f"{contender}, {rate:,} ticks/s for {seconds:.0f} s, {guarantee}"):
            sent = _send(servers.kafka, ticks_topic, rate, ticks)
            result(detector, 60)
            time.sleep(1.0)  # the last signals are on their way
        gate.over.give()
        reader.wait(30)
    finally:
        detector.kill()
        reader.kill()
    counts_from = min(sent.values()) + WARM_UP_SECONDS
    moments = np.array(
        [
            (sent[symbol, ts], signalled, read)
            for symbol, ts, signalled, read in json.loads(found.read_text())
            if sent[symbol, ts] >= counts_from
        ]
    )
    if len(moments) < 100:
        raise ContenderFailed(f"only {len(moments)} signals of {count} ticks were read")
    delays = (moments[:, 2] - moments[:, 0]) * 1000
    median, high = np.percentile(delays, (50, 99)).tolist()
    to_signal = np.percentile((moments[:, 1] - moments[:, 0]) * 1000, (50, 99))
    progress.note(
        f"{len(moments):,} signals, median {median:.1f} ms, p99 {high:.1f} ms; until the signal is sent "
        f"{to_signal[0]:.0f} and {to_signal[1]:.0f} ms"
    )
    return median, high


def _pipeline(servers: Servers, guarantee: Guarantee, rate: int, contender: str) -> PipelineConfig:
    rules = [*(rule.model_dump(by_alias=True, mode="json") for rule in DEFAULT_RULES), workload.OFTEN]
    config = workload.pipeline(
        f"latency-{contender}-{guarantee.value.lower()}-{rate}",
        servers.kafka,
        servers.redis,
        SYMBOLS,
        PARTITIONS,
        rules=rules,
        delivery=_DELIVERY[guarantee],
    )
    servers.create(config)
    return config


def _start_reader(servers: Servers, config: PipelineConfig, gate: Gate) -> tuple[subprocess.Popen[str], Path]:
    """Start the reader of the signals; return it with the file that it will write."""
    found = servers.folder / f"{config.name}.read"
    job = Job(
        servers.kafka,
        config.names.topic(Topic.SIGNALS),
        str(found),
        _reader(config),
        0,
        gate=gate.path,
    )
    return servers.start("reader", job, config.name), found


def _reader(config: PipelineConfig) -> str:
    return f"{config.name}-reader"


def _await(sign: Sign, what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not sign.given:
        if time.monotonic() > deadline:
            raise ContenderFailed(f"{what} after {_START_SECONDS:.0f} s")
        time.sleep(0.1)


def _send(
    kafka: str, topic: str, rate: int, ticks: list[tuple[str, int, bytes]]
) -> dict[tuple[str, int], float]:
    """Send at an even pace; return when each (symbol, event time) was handed to the client.

    The settings are those of the product's producer. In slices of a millisecond: waking up for each tick
    would take a processor from those that are measured.
    """
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    sent: dict[tuple[str, int], float] = {}
    began, number = time.time(), 0
    while number < len(ticks):
        due = int((time.time() - began) * rate)
        for symbol, ts, value in ticks[number:due]:
            sent[symbol, ts] = time.time()
            producer.produce(topic, value, symbol)
        number = max(number, min(due, len(ticks)))
        producer.poll(0)
        time.sleep(_SLICE_SECONDS)
    assert producer.flush(60) == 0
    return sent
