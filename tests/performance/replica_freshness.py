"""From a record in Kafka to a reader of a replica: broker, store and replica as in a cluster, with the usual
schedule.
"""

from __future__ import annotations

import time
from pathlib import Path

from stockpipeline.api import Topic
from stockpipeline.signals.signal import Signal, encode_signal
from stockpipeline.store import open_replica
from stockpipeline.store.errors import NoReplica
from tests.integration.servers.kafka import running_broker
from tests.integration.services.support import create_topics, eventually, pipeline, produce, service

_EVERY_SECONDS = 1.0
_POLL_SECONDS = 0.02


def ages(folder: Path, count: int) -> list[float]:
    """Send a signal a second; return for each the seconds from its acknowledgement until it is readable."""
    (folder / "broker").mkdir()
    with running_broker(folder / "broker") as broker:
        config = pipeline("fresh", broker.bootstrap, "redis://unused:6379/0", store={}, replicaSync={})
        create_topics(config)
        environment = {"STOCKPIPELINE_DATA": str(folder / "data")}
        started = []
        try:
            for command in ("store", "replica-sync"):
                directory = folder / command
                directory.mkdir()
                one = service(command, config, directory, environment)
                one.process.start()
                started.append(one)
            eventually(lambda: all(one.ready() for one in started), "the services are ready")
            return _measured(folder, broker.bootstrap, config.names.topic(Topic.SIGNALS), count)
        finally:
            for one in started:
                one.process.kill()


def _measured(folder: Path, kafka: str, topic: str, count: int) -> list[float]:
    replica = open_replica(folder / "data" / "replica")
    sent: dict[str, float] = {}
    found: dict[str, float] = {}
    next_one = time.monotonic()
    while len(found) < count:
        if len(sent) < count and time.monotonic() >= next_one:
            next_one += _EVERY_SECONDS
            made = _signal(len(sent))
            produce(kafka, topic, (made.symbol, encode_signal(made)))
            sent[made.id] = time.monotonic()
        try:
            with replica.read() as snapshot:
                rows = snapshot.execute("SELECT id FROM signals").fetchall()
        except NoReplica:
            rows = []
        now = time.monotonic()
        for (identity,) in rows:
            if identity in sent:
                found.setdefault(identity, now - sent[identity])
        time.sleep(_POLL_SECONDS)
    replica.close()
    return sorted(found.values())


def _signal(number: int) -> Signal:
    return Signal(
        f"id-{number}", "test/fresh", "AAPL", "rsi-oversold", "buy", 10.0 + number,
        1_700_000_000_000 + number, "2024-01-03", {"rsi14": 29.8}, 1.0, "replay",
    )  # fmt: skip
