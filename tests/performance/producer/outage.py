"""How many ticks an outage of the broker costs, counted at a consumer."""

from __future__ import annotations

import time
from collections import Counter

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.ticks import MarketSession, Tick, decode_tick
from stockpipeline.producer.live_producer import QUEUE_KIB, QUEUE_MESSAGES
from stockpipeline.producer.router import Router, wall_ms
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.chain import Chain, SourceTerms
from tests.integration.servers.kafka import Broker
from tests.integration.services.support import read_all

PER_SECOND = 5000
_SYMBOLS = tuple(f"S{number}" for number in range(500))


def outage_lost(broker: Broker, topic: str, seconds: float) -> tuple[int, int]:
    """Kill the broker for some seconds under load; return how many ticks are missing, and how many there
    were.

    Raises:
        AssertionError: a symbol's ticks are not in their order.
    """
    producer = KafkaProducer(
        broker.bootstrap, "bench-outage", topic, queue_messages=QUEUE_MESSAGES, queue_kib=QUEUE_KIB
    )
    chain = Chain(_SYMBOLS, [SourceTerms("kis", 60_000)], lambda now: now, wall_ms())
    router = Router(chain, producer, topic, SourceMetrics(CollectorRegistry(), "bench"))
    offered: Counter[str] = Counter()

    def run(duration: float) -> None:
        began, made = time.monotonic(), 0
        while (passed := time.monotonic() - began) < duration:
            while made < passed * PER_SECOND:
                symbol = _SYMBOLS[made % len(_SYMBOLS)]
                offered[symbol] += 1
                # The volume is the number of the tick, so that order and gaps can be seen.
                router.tick(
                    Tick(symbol, 1.0, float(offered[symbol]), wall_ms(), "kis", MarketSession.REGULAR)
                )
                made += 1
            producer.poll(0.005)
            router.outbox.drain()

    run(2.0)
    broker.kill()
    run(seconds)
    broker.start()
    run(2.0)
    while len(producer) or len(router.outbox):
        router.outbox.drain()
        producer.poll(0.05)
    got: Counter[str] = Counter()
    newest: dict[str, float] = {}
    for message in read_all(broker.bootstrap, topic):
        tick = decode_tick(message.value() or b"")
        assert tick.volume > newest.get(tick.symbol, 0.0), (
            f"{tick.symbol}: {tick.volume} after {newest[tick.symbol]}"
        )
        newest[tick.symbol] = tick.volume
        got[tick.symbol] += 1
    return sum(offered.values()) - sum(got.values()), sum(offered.values())
