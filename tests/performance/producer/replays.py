"""How fast a replay goes, against a bare loop that sends bytes that are already encoded."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import Tick, encode_tick
from stockpipeline.producer.loop import ProducerLoop
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.sources.pacing import Pacer
from stockpipeline.sources.replay import ReplaySource

SYMBOLS = ("AAPL", "IBM", "MSFT", "GOOG")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Limited:
    """A replay that ends after some ticks, and asks for the end; notes the memory on its way."""

    def __init__(self, source: ReplaySource, count: int, shutdown: Shutdown) -> None:
        self.name = source.name
        self._source = source
        self._count = count
        self._shutdown = shutdown
        self.resident: list[float] = []
        """MiB after each tenth of the ticks."""

    def ticks(self, after: Mapping[str, int]) -> Iterator[Tick]:
        """Yield that many ticks."""
        every = self._count // 10
        ticks = self._source.ticks(after)
        for _ in range(10):
            yield from itertools.islice(ticks, every)
            self.resident.append(resident_mib())


def resident_mib() -> float:
    """Return the process's resident memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_MIB


def replay(calendar: SessionCalendar, ticks_per_bar: int) -> ReplaySource:
    """Return a replay of the packaged bars: four stocks, 3,000 days and more."""
    bars = {symbol: packaged_bars(symbol) for symbol in SYMBOLS}
    return ReplaySource("replay", bars, calendar, date(2004, 9, 1), None, ticks_per_bar, 1)


def bare_produce(bootstrap: str, topic: str, calendar: SessionCalendar, count: int) -> float:
    """Return ticks per second of a loop that does nothing but hand bytes to the client, acknowledged ones."""
    some = [(t.symbol, encode_tick(t)) for t in itertools.islice(replay(calendar, 390).ticks({}), 100_000)]
    kafka = KafkaProducer(bootstrap, "bench-bare", topic)
    produce, poll = kafka._producer.produce, kafka._producer.poll
    began = time.perf_counter()
    for key, value in itertools.islice(itertools.cycle(some), count):
        while True:
            try:
                produce(topic, value, key)
                break
            except BufferError:
                poll(0.01)
    while len(kafka):
        poll(0.01)
    return count / (time.perf_counter() - began)


def replay_rate(
    bootstrap: str, topic: str, calendar: SessionCalendar, count: int
) -> tuple[float, float, list[float]]:
    """Return ticks per second, seconds of CPU of this process per million ticks, and the memory on the
    way."""
    shutdown = Shutdown(60)
    source = Limited(replay(calendar, 390 if count < 5_000_000 else 1950), count, shutdown)
    loop = ProducerLoop(
        source,
        Pacer(calendar, 0),
        KafkaProducer(bootstrap, "bench-replay", topic),
        ProducerMetrics(CollectorRegistry(), "bench"),
        Readiness(["kafka"]),
        Heartbeat(),
        shutdown,
    )
    began, cpu = time.perf_counter(), time.process_time()
    assert loop.send_all({})
    seconds = time.perf_counter() - began
    return count / seconds, (time.process_time() - cpu) / count * 1e6, source.resident
