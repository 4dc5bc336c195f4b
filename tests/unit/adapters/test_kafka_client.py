"""Whether a client is connected, and when it is given up."""

from __future__ import annotations

import json
import socket
import time

import pytest
from confluent_kafka import KafkaError, Producer

from stockpipeline.adapters.kafka_client import BrokerConnection, KafkaFatal, reading_failed

PATIENCE = 150.0
LOOK = 30.0


class Client:
    """A connection with a clock of its own, told of by statistics now and then."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.now = 0.0
        self.connection = BrokerConnection(bootstrap_servers, PATIENCE, lambda: self.now)

    def goes_on(self, seconds: float, state: str) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += LOOK
            self.connection.on_statistics(json.dumps({"brokers": {"1": {"state": state}}}))


@pytest.fixture
def listening() -> socket.socket:
    """Takes connections, and never answers."""
    return socket.create_server(("127.0.0.1", 0), backlog=100)


@pytest.fixture
def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()
    return f"{host}:{port}"


def test_a_client_that_does_not_come_back_to_a_broker_that_answers_is_given_up(address: str) -> None:
    client = Client(f"127.0.0.1:1,PLAINTEXT://{address}")
    client.goes_on(PATIENCE, "DOWN")
    assert client.connection.trouble is not None
    with pytest.raises(
        KafkaFatal, match=f"{address} takes connections, but the client has had none for 150 s"
    ):
        client.goes_on(2 * LOOK, "DOWN")


def test_a_broker_that_is_away_is_waited_for(listening: socket.socket, address: str) -> None:
    listening.close()
    client = Client(address)
    client.goes_on(10 * PATIENCE, "DOWN")
    assert client.connection.trouble is not None
    client.goes_on(LOOK, "UP")
    assert client.connection.trouble is None


def test_each_connection_begins_the_patience_anew(address: str) -> None:
    client = Client(address)
    for _ in range(5):
        client.goes_on(PATIENCE, "CONNECT")
        client.goes_on(LOOK, "UP")
    assert client.connection.trouble is None


@pytest.mark.parametrize("servers", ["no-port", "127.0.0.1:no", ""])
def test_what_is_no_address_is_not_reached(servers: str) -> None:
    client = Client(servers)
    client.goes_on(2 * PATIENCE, "DOWN")
    assert client.connection.trouble is not None


def test_it_comes_out_of_the_clients_poll(address: str) -> None:
    connection = BrokerConnection(address, patience_seconds=0.0)
    producer = Producer({**connection.settings("test"), "statistics.interval.ms": 100})

    def poll_for_long() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            producer.poll(0.1)

    with pytest.raises(KafkaFatal):
        poll_for_long()


def test_an_error_that_came_as_an_event_is_fatal_by_its_code() -> None:
    event = KafkaError(KafkaError._FATAL, "fenced by another")
    assert not event.fatal()
    with pytest.raises(KafkaFatal, match=r"reading ticks.*fenced by another"):
        reading_failed(event, "ticks")
    reading_failed(KafkaError(KafkaError._TRANSPORT, "a broker is away"), "ticks")
