"""talipp, the incremental indicator library in pure Python: `update` revises the forming bar."""

from __future__ import annotations

import json

from confluent_kafka import Consumer, Producer, TopicPartition
from talipp.indicators import BB, MACD, RSI

from tests.performance.detector.contenders.job import Job, Latches, Watch


def main() -> None:
    """Poll, revise, produce."""
    job, watch = Job.from_arguments(), Watch()
    indicators = {}
    latches = {}
    for symbol, closes in job.closes().items():
        # The last close stands for the forming bar, which every tick replaces.
        values = [*closes, closes[-1]]
        indicators[symbol] = RSI(14, values), MACD(12, 26, 9, values), BB(20, 2, values)
        latches[symbol] = Latches()
    consumer = Consumer(
        {
            "bootstrap.servers": job.kafka,
            "group.id": job.group,
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 10,
        }
    )
    producer = Producer({"bootstrap.servers": job.kafka})
    partitions = consumer.list_topics(job.topic, timeout=20).topics[job.topic].partitions
    consumer.assign([TopicPartition(job.topic, partition, 0) for partition in partitions])
    while watch.ticks < job.ticks:
        message = consumer.poll(0.1)
        if message is None:
            continue
        watch.began()
        tick = json.loads(message.value() or b"")
        symbol, price = tick["symbol"], tick["price"]
        rsi, macd, bb = indicators[symbol]
        rsi.update(price)
        macd.update(price)
        bb.update(price)
        fired = latches[symbol].fire(
            price, rsi[-1], macd[-1].histogram, macd[-2].histogram, bb[-1].ub, bb[-1].lb
        )
        for _ in range(fired):
            producer.produce(job.output, json.dumps({"symbol": symbol, "price": price}), symbol)
        watch.signals += fired
        watch.ticks += 1
    producer.flush()
    watch.report()


if __name__ == "__main__":
    main()
