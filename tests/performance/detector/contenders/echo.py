"""The least delay: read and decode each tick, and send a signal for those that the detector has one for.

It has no indicators, no state and nothing to commit, and its client waits for nothing.
"""

from __future__ import annotations

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from stockpipeline.market.ticks import Tick
from stockpipeline.signals.signal import Signal, encode_signal
from tests.performance.detector import workload
from tests.performance.detector.contenders.gate import Gate
from tests.performance.detector.contenders.job import Job, Watch


def main() -> None:
    """Answer until all ticks are read."""
    job, watch = Job.from_arguments(), Watch()
    decode = msgspec.json.Decoder(Tick).decode
    rule, side = workload.OFTEN["name"], workload.OFTEN["side"]
    consumer = Consumer(
        {
            "bootstrap.servers": job.kafka,
            "group.id": job.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
    )
    producer = Producer({"bootstrap.servers": job.kafka, "partitioner": "murmur2_random", "linger.ms": 0})
    numbers = consumer.list_topics(job.topic, timeout=20).topics[job.topic].partitions
    consumer.assign([TopicPartition(job.topic, number, 0) for number in numbers])
    last: dict[str, float] = {}
    Gate(job.gate).ready(job.group).give()
    while watch.ticks < job.ticks:
        message = consumer.poll(0.1)
        if message is None:
            continue
        watch.began()
        watch.ticks += 1
        tick = decode(message.value())  # type: ignore[arg-type]  # no message is empty
        # A price that rises does so in the middle of a session, where the rule holds for the first time.
        if tick.price > last.get(tick.symbol, tick.price):
            signal = Signal(
                "", job.group, tick.symbol, rule, side, tick.price, tick.ts, "", {}, 1.0, tick.source
            )
            producer.produce(job.output, encode_signal(signal), tick.symbol)
        last[tick.symbol] = tick.price
        producer.poll(0)
    assert producer.flush(30) == 0
    watch.report()
    consumer.close()


if __name__ == "__main__":
    main()
