"""Servers that integration tests share: each starts once, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.servers.kafka import running_broker
from tests.integration.servers.redis import running_server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address (HOST:PORT) of a Kafka broker.

    All tests share it: name topics and groups after the test. Whoever kills a
    broker starts one of its own with `running_broker`.
    """
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis server. All tests share it: begin keys with the test's name."""
    with running_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url
