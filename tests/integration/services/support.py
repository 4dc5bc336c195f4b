"""What the tests of the services share: pipelines with topics of their own, and service processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from stockpipeline.api import PipelineConfig, Topic
from tests.integration.servers.process import ServerProcess
from tests.integration.services.clock import ahead
from tests.ports import free_port

PARTITIONS = 2
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def eventually(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait until the condition holds; fail with `what` after some time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def pipeline(
    name: str, kafka: str, redis: str, replay: Mapping[str, Any] | None = None, **spec: Any
) -> PipelineConfig:
    """A pipeline `test/NAME` over the packaged symbols, as fast as possible."""
    source = {"name": "replay", "replay": {"start": "2013-01-02", "speed": 0, **(replay or {})}}
    return PipelineConfig.model_validate(
        {
            "namespace": "test",
            "name": name,
            "spec": {
                "universe": {"symbols": SYMBOLS, "exchange": "XNAS"},
                "sources": [source],
                "kafka": {"bootstrapServers": kafka, "partitions": PARTITIONS},
                "redis": {"url": redis},
                **spec,
            },
        }
    )


def create_topic(kafka: str, *topics: NewTopic) -> None:
    """Create topics and wait until the broker has them."""
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics(list(topics)).values():
        future.result(20)


def create_topics(config: PipelineConfig, *topics: Topic) -> None:
    """Create the pipeline's topics (all unless some are named), as the operator does."""
    wanted = [
        NewTopic(
            config.names.topic(topic),
            config.spec.kafka.partitions,
            1,
            config={"cleanup.policy": "compact"} if topic.compacted else {},
        )
        for topic in topics or tuple(Topic)
    ]
    create_topic(config.bootstrap_servers, *wanted)


def read_all(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[Message]:
    """Return all messages of a topic up to its present end, in the order of partitions and offsets.

    A client of the test's own, so that a mistake in the product's reader cannot hide what it reads.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
        }
    )
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        messages: list[Message] = []
        open_partitions = set(partitions)
        while open_partitions:
            message = consumer.poll(20)
            assert message is not None, f"{topic} has no end"
            error = message.error()
            if error is None:
                messages.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                open_partitions.discard(message.partition() or 0)
    finally:
        consumer.close()
    return sorted(messages, key=lambda message: (message.partition() or 0, message.offset() or 0))


def values(messages: list[Message]) -> Iterator[dict[str, Any]]:
    """The JSON objects in messages."""
    for message in messages:
        yield json.loads(message.value() or b"")


def headers(message: Message) -> dict[str, str]:
    """The headers of a message as text."""
    pairs = message.headers() or []
    assert isinstance(pairs, list)
    return {name: value.decode() for name, value in pairs if isinstance(value, bytes)}


def produce(
    bootstrap: str, topic: str, *records: tuple[str | None, bytes | None], partition: int = -1
) -> None:
    """Send records (key, value) and wait until they are acknowledged."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "partitioner": "murmur2_random"})
    for key, value in records:
        producer.produce(topic, value, key, partition)
    assert producer.flush(20) == 0


@dataclass
class Service:
    """A service as a process of its own, with its status server."""

    process: ServerProcess
    address: str

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET."""
        try:
            with urlopen(f"http://{self.address}{path}", timeout=30) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def checks(self) -> dict[str, str]:
        """The readiness checks: "ok" or the reason."""
        return dict(json.loads(self.get("/readyz")[1])["checks"])

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return self.get("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The sum over the series of a metric."""
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines())
        return sum(float(value) for series, _, value in lines if series.partition("{")[0] == name)


def service(
    command: str,
    config: PipelineConfig,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    at: float | None = None,
) -> Service:
    """A service that can be started, killed and started again; it may live `at` another time (epoch
    seconds)."""
    file = directory / "pipeline.json"
    of_store = command in ("store", "replica-sync")
    file.write_text(config.to_store_json() if of_store else config.to_json())
    address = f"127.0.0.1:{free_port()}"
    variables = {"STOCKPIPELINE_HTTP_ADDRESS": address, **(environment or {})}

    module = ["stockpipeline.cli"] if at is None else ["tests.integration.services.clock", str(ahead(at))]

    def serves() -> bool:
        with urlopen(f"http://{address}/healthz", timeout=10) as response:
            return bool(response.status == 200)

    process = ServerProcess(
        ["env", *(f"{name}={value}" for name, value in variables.items()),
         sys.executable, "-m", *module, command, "--config", str(file), *arguments],
        log=directory / f"{command}.log",
        ready=serves,
    )  # fmt: skip
    return Service(process, address)
