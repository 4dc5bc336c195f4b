"""The test servers themselves: what the other integration tests rely on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from redis import Redis

from tests.integration.servers.kafka import running_broker
from tests.integration.servers.process import ServerError, ServerProcess
from tests.integration.servers.redis import running_server


def test_a_killed_broker_serves_again_with_its_records(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)
        producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all"})
        producer.produce("kept", b"before the crash")
        assert producer.flush(10) == 0

        first_pid = broker.pid
        broker.restart()

        assert broker.pid != first_pid
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe(["kept"])
        message = consumer.poll(30)
        consumer.close()
        assert message is not None
        assert message.value() == b"before the crash"


def test_redis_serves_and_ends_with_its_block(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        client = Redis.from_url(server.url)
        client.set("key", "value")
        assert client.get("key") == b"value"
        client.close()
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_ends_by_itself_shows_its_output(tmp_path: Path) -> None:
    server = ServerProcess(["sh", "-c", "echo port taken; exit 3"], tmp_path / "log", ready=lambda: False)
    with pytest.raises(ServerError, match=r"ended with 3:\nport taken"):
        server.start()
