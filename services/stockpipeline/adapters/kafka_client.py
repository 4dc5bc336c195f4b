"""What all Kafka clients share: settings, errors by what to do about them, and whether a broker answers."""

import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

_STATISTICS_INTERVAL_MS = 2000
# An idle client may have no connection until it asks for this anew.
_METADATA_INTERVAL_MS = 60_000
_PATIENCE_SECONDS = 150.0
_ANSWER_SECONDS = 0.2
# librdkafka slows down beyond this: consume(5000) is several times slower per message than consume(1000).
DRAIN_MESSAGES = 1000
_log = structlog.get_logger()


class KafkaFailure(Exception):
    """Kafka did not do what it was asked for."""


class KafkaUnavailable(KafkaFailure):
    """No broker answered in time: wait and try again."""


class KafkaFatal(KafkaFailure):
    """The client cannot go on (fenced by a newer one, or its messages were lost): start the process anew."""


def describe(error: Exception) -> str:
    """Return what a client library's exception says, without its representation's noise."""
    cause = kafka_error(error)
    return f"{cause.name()}: {cause.str()}" if cause is not None else str(error)


def kafka_error(error: Exception) -> KafkaError | None:
    """Return the KafkaError in a KafkaException, or None for any other exception."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return error.args[0]
    return None


def reading_failed(error: KafkaError, topic: str | None) -> None:
    """Tell of an error after which reading goes on.

    Raises:
        KafkaFatal: it does not go on after this one.
    """
    # As an event or a message, such an error has the code and not the flag.
    if error.fatal() or error.code() == KafkaError._FATAL:
        raise KafkaFatal(f"reading {topic}: {error.str()}")
    _log.warning("reading failed", topic=topic, error=error.str())


def drain(consumer: Consumer, seconds: float) -> list[Message]:
    """Wait for a message at most `seconds`, then take what else has already arrived, without waiting.

    At most DRAIN_MESSAGES. `consume(n, t)` alone would wait the whole time unless n messages come.
    """
    first = consumer.poll(seconds)
    if first is None:
        return []
    return [first, *consumer.consume(DRAIN_MESSAGES - 1, 0)]


def short_lived_settings(bootstrap_servers: str, client_id: str) -> dict[str, Any]:
    """Return the settings of a client that answers questions; its caller reports failures, not its log."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": client_id,
        "log_level": 0,
        # A broker that restarts is found again within this time.
        "reconnect.backoff.max.ms": 1000,
        # When no broker answers, librdkafka 2.16 forgets all of them, begins anew with the bootstrap servers,
        # and may end up with none to connect to: some clients never came back after a broker was replaced.
        "metadata.recovery.strategy": "none",
    }


class _ClientLog(logging.Filter):
    """Passes what librdkafka logs, but for what others say better.

    Each failed attempt to connect is a line of its own there; readiness says it once, with the address.
    """

    _SAID_ELSEWHERE = ("FAIL ", "ERROR ", "CONFWARN ")

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        return not record.getMessage().startswith(self._SAID_ELSEWHERE)


_client_log = logging.getLogger("kafka")
_client_log.addFilter(_ClientLog())


class BrokerConnection:
    """Whether a client has a connection to a broker, from the client's own statistics and errors.

    Its callbacks run inside the client's `poll`, in the thread that polls; what they raise comes out of that.
    A client without a connection for minutes though a broker takes connections is given up: one of librdkafka
    2.16 was seen to try none for five minutes, after a broker was killed that had just begun to start.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        patience_seconds: float = _PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._last_error = ""
        self._up = True
        self._reachable_since: float | None = None
        """Since when the client could be connected, and is not."""

    def settings(self, client_id: str) -> dict[str, Any]:
        """Return the settings that a client which stays begins with."""
        return {
            **short_lived_settings(self._bootstrap_servers, client_id),
            "log_level": 6,
            "logger": _client_log,
            "log.connection.close": False,
            "error_cb": self.on_error,
            "stats_cb": self.on_statistics,
            "statistics.interval.ms": _STATISTICS_INTERVAL_MS,
            "topic.metadata.refresh.interval.ms": _METADATA_INTERVAL_MS,
            "socket.keepalive.enable": True,
        }

    @property
    def trouble(self) -> str | None:
        """Return None while a broker is connected, otherwise the address and the last error."""
        if self._up:
            return None
        return f"Kafka at {self._bootstrap_servers} cannot be reached ({self._last_error or 'no connection'})"

    def on_error(self, error: KafkaError) -> None:
        """Take an error that the client handles by itself, such as a lost connection."""
        self._last_error = error.name()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._up = False

    def on_statistics(self, text: str) -> None:
        """Take the client's statistics (JSON, see librdkafka's STATISTICS.md).

        Raises:
            KafkaFatal: the client does not come back to a broker that takes connections.
        """
        states = [broker["state"] for broker in json.loads(text)["brokers"].values()]
        self._up = any(state in ("UP", "UPDATE") for state in states)
        if self._up or not self._is_reachable():
            self._reachable_since = None
        elif self._reachable_since is None:
            self._reachable_since = self._clock()
        elif self._clock() >= self._reachable_since + self._patience_seconds:
            raise KafkaFatal(
                f"Kafka at {self._bootstrap_servers} takes connections, but the client has had none for "
                f"{self._patience_seconds:.0f} s ({self._last_error or 'no error'})"
            )

    def _is_reachable(self) -> bool:
        """Whether one of the bootstrap servers takes a connection."""
        for server in self._bootstrap_servers.split(","):
            host, _, port = server.strip().rpartition("://")[2].rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
            except (OSError, ValueError):
                continue
            return True
        return False
