"""Reads signals and notes when: a process of its own, so that sending ticks does not hold it up."""

from __future__ import annotations

import json
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from stockpipeline.signals.signal import decode_signal
from tests.performance.detector import workload
from tests.performance.detector.contenders.gate import Gate
from tests.performance.detector.contenders.job import Job


def main() -> None:
    """Read the topic until all is over; write [[symbol, ts, sent, read], …].

    Both in seconds since the epoch: when the detector handed the signal to its client, and now.
    """
    job = Job.from_arguments()
    consumer = Consumer(
        {
            "bootstrap.servers": job.kafka,
            "group.id": job.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    partitions = consumer.list_topics(job.topic, timeout=20).topics[job.topic].partitions
    consumer.assign([TopicPartition(job.topic, partition, 0) for partition in partitions])
    gate, read = Gate(job.gate), []
    looked = time.monotonic()
    gate.ready(job.group).give()
    while True:
        message = consumer.poll(0.1)
        moment = time.time()
        if message is not None and message.error() is None:
            signal = decode_signal(message.value() or b"")
            if signal.rule == workload.OFTEN["name"]:
                read.append((signal.symbol, signal.ts, message.timestamp()[1] / 1000, moment))
        if time.monotonic() > looked + 0.1:
            looked = time.monotonic()
            if gate.over.given:
                break
    consumer.close()
    Path(job.output).write_text(json.dumps(read))


if __name__ == "__main__":
    main()
