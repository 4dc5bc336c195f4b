"""The limit of Python: read every tick and decode it, as the detector does, and nothing else."""

from __future__ import annotations

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stockpipeline.adapters.kafka_client import drain
from stockpipeline.market.ticks import Tick
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
            "queued.max.messages.kbytes": 16 * 1024,
        }
    )
    partitions = consumer.list_topics(job.topic, timeout=20).topics[job.topic].partitions
    consumer.assign([TopicPartition(job.topic, partition, 0) for partition in partitions])
    while watch.ticks < job.ticks:
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
