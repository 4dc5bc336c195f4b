"""The limit of Python: read every tick and decode it, as the detector does, and nothing else."""

from __future__ import annotations

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stockpipeline.adapters.kafka_client import drain
from stockpipeline.market.ticks import Tick
from tests.performance.detector.contenders.gate import Gate
from tests.performance.detector.contenders.job import Job, Watch


def main() -> None:
    """Read and decode."""
    job, watch = Job.from_arguments(), Watch()
    decode = msgspec.json.Decoder(Tick).decode
    consumer = Consumer(
        {
            "bootstrap.servers": job.kafka,
            "group.id": job.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 64 * 1024,
        }
    )
    numbers = consumer.list_topics(job.topic, timeout=20).topics[job.topic].partitions
    mine = [number for number in numbers if number % job.shares == job.share]
    places = [TopicPartition(job.topic, number, 0) for number in mine]
    ticks = job.ticks
    if job.shares > 1:
        ticks = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
        gate = Gate(job.gate)
        gate.here(job.group).give()
        gate.open.wait()
    consumer.assign(places)
    while watch.ticks < ticks:
        messages = drain(consumer, 0.1)
        if messages:
            watch.began()
            for message in messages:
                decode(message.value())  # type: ignore[arg-type]  # no message is empty
            watch.ticks += len(messages)
    watch.report()
    consumer.close()


if __name__ == "__main__":
    main()
