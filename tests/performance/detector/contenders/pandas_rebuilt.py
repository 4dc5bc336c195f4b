"""The way of the system that this one replaces: for each tick, a DataFrame made anew from JSON."""

from __future__ import annotations

import json

import pandas as pd
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.performance.detector.contenders.job import Job, Latches, Watch

_BARS = 60


def main() -> None:
    """Poll, rebuild, compute, produce."""
    job, watch = Job.from_arguments(), Watch()
    cached = {symbol: json.dumps(closes[-_BARS:]) for symbol, closes in job.closes().items()}
    latches = {symbol: Latches() for symbol in cached}
    consumer = Consumer({"bootstrap.servers": job.kafka, "group.id": job.group, "enable.auto.commit": False})
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
        close = pd.DataFrame({"close": [*json.loads(cached[symbol]), price]})["close"]
        change = close.diff()
        gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
        loss = (-change.clip(upper=0)).ewm(alpha=1 / 14, adjust=False).mean()
        rsi = 100 - 100 / (1 + gain / loss)
        macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
        histogram = macd - macd.ewm(span=9, adjust=False).mean()
        middle, width = close.rolling(20).mean(), 2 * close.rolling(20).std(ddof=0)
        fired = latches[symbol].fire(
            price, rsi.iloc[-1], histogram.iloc[-1], histogram.iloc[-2],
            (middle + width).iloc[-1], (middle - width).iloc[-1],
        )  # fmt: skip
        for _ in range(fired):
            producer.produce(job.output, json.dumps({"symbol": symbol, "price": price}), symbol)
        watch.signals += fired
        watch.ticks += 1
    producer.flush()
    watch.report()


if __name__ == "__main__":
    main()
