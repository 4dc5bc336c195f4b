"""The store as services: records of Kafka come to a replica's readers, each once, whatever is killed."""

from __future__ import annotations

import random
import time
from pathlib import Path

import msgspec
import pytest

from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.api.spec.store import History
from stockpipeline.signals.signal import Signal, encode_signal
from stockpipeline.store import open_replica
from stockpipeline.store.errors import NoReplica
from tests.integration.services.conftest import StartService
from tests.integration.services.support import (
    PARTITIONS,
    create_topic,
    create_topics,
    eventually,
    pipeline,
    produce,
)

SYNC = {
    "schedule": {"publish": "200ms", "pull": "200ms", "scrub": "1s"},
    "retention": {"all": "1h"},
}


class Stored:
    """A pipeline with a store and a replica, and what its topics were given."""

    def __init__(self, config: PipelineConfig, data: Path) -> None:
        self.config = config
        self.data = data
        self.environment = {"STOCKPIPELINE_DATA": str(data)}
        self.sent = 0

    def send(self, count: int) -> None:
        """Send signals with ids that count up, and performance of each."""
        names, kafka = self.config.names, self.config.bootstrap_servers
        for partition in range(PARTITIONS):
            numbers = range(self.sent, self.sent + count)
            mine = [number for number in numbers if number % PARTITIONS == partition]
            signals = [("AAPL", encode_signal(made(number))) for number in mine]
            performance = [(f"id-{number}", b'{"number":%d}' % number) for number in mine]
            produce(kafka, names.topic(Topic.SIGNALS), *signals, partition=partition)
            produce(kafka, names.topic(Topic.PERFORMANCE), *performance, partition=partition)
        self.sent += count

    def signals(self) -> list[int]:
        """The numbers of the signals that a reader of the replica gets."""
        replica = open_replica(self.data / "replica")
        try:
            with replica.read() as snapshot:
                rows = snapshot.execute("SELECT id FROM signals").fetchall()
        except NoReplica:
            return []
        finally:
            replica.close()
        return sorted(int(identity.removeprefix("id-")) for (identity,) in rows)

    def readable(self) -> bool:
        """Whether a reader of the replica gets every record once, and nothing else."""
        want = [(f"id-{number}", 10.0 + number) for number in range(self.sent)]
        records = [f'{{"number":{number}}}' for number in range(self.sent)]
        replica = open_replica(self.data / "replica")
        try:
            with replica.read() as snapshot:
                signals = snapshot.execute("SELECT id, price FROM signals ORDER BY price").fetchall()
                performance = snapshot.execute(
                    "SELECT record FROM performance ORDER BY substr(signal_id, 4)::INT"
                ).fetchall()
        except NoReplica:
            return False
        finally:
            replica.close()
        assert len(signals) <= self.sent, "a signal came twice"
        assert len(performance) <= self.sent, "a record came twice"
        return signals == want and [text for (text,) in performance] == records


def made(number: int) -> Signal:
    """A signal that its number tells from others."""
    return Signal(
        f"id-{number}", "test/store", "AAPL", "rsi-oversold", "buy", 10.0 + number,
        1_700_000_000_000 + number, "2024-01-03", {"rsi14": 29.8}, 1.0, "replay",
    )  # fmt: skip


@pytest.fixture
def stored(request: pytest.FixtureRequest, kafka: str, redis: str, tmp_path: Path) -> Stored:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    config = pipeline(name, kafka, redis, store={}, replicaSync=SYNC)
    create_topics(config)
    return Stored(config, tmp_path / "data")


def test_records_reach_readers_and_services_tell_of_it(stored: Stored, start: StartService) -> None:
    store = start("store", stored.config, environment=stored.environment)
    replica = start("replica-sync", stored.config, environment=stored.environment)
    # Without any record: an empty store is published, so that readers find its tables.
    eventually(lambda: store.ready() and replica.ready(), "an empty store reaches the replica")
    assert stored.readable()

    stored.send(30)
    eventually(stored.readable, "all records are readable")
    stored.send(12)
    eventually(stored.readable, "later records are readable")
    # Whoever writes something else there gets no row, and stops nobody.
    produce(stored.config.bootstrap_servers, stored.config.names.topic(Topic.SIGNALS), ("x", b"{"))
    stored.send(1)
    eventually(stored.readable, "records after one that is no signal are readable")

    eventually(lambda: store.metric("stockpipeline_store_records_total") == 2 * 43, "all are counted")
    eventually(lambda: store.metric("stockpipeline_store_refused_records_total") == 1, "and what was refused")
    eventually(lambda: store.metric("stockpipeline_store_lag_records") == 0, "no record waits")
    for name in ("size_bytes", "free_bytes", "changed_bytes_total", "uploaded_bytes_total"):
        assert store.metric(f"stockpipeline_store_{name}") > 0, name
    eventually(
        lambda: (
            replica.metric("stockpipeline_replica_generation")
            == store.metric("stockpipeline_store_generation")
            >= 3
        ),
        "both tell the same generation",
    )
    eventually(lambda: replica.metric("stockpipeline_replica_lag_generations") == 0, "nothing is missing")
    for name in ("size_bytes", "free_bytes", "changed_bytes_total", "fetched_bytes_total"):
        assert replica.metric(f"stockpipeline_replica_{name}") > 0, name
    eventually(
        lambda: replica.metric("stockpipeline_replica_freshness_seconds_count") >= 2, "freshness is measured"
    )
    assert replica.metric("stockpipeline_replica_verify_failures_total") == 0
    eventually(lambda: "stockpipeline_replica_scrub_age_seconds{" in replica.get("/metrics")[1], "a scrub")

    for service in (store, replica):
        service.process.stop()


def test_kills_lose_and_repeat_no_record(stored: Stored, start: StartService) -> None:
    chance = random.Random(7)
    store = start("store", stored.config, environment=stored.environment)
    replica = start("replica-sync", stored.config, environment=stored.environment)
    eventually(lambda: store.ready() and replica.ready(), "both work")
    for victim in (store, replica, store, store, replica, store):
        stored.send(20)
        time.sleep(chance.uniform(0, 1.0))  # the moment is random on purpose
        victim.process.kill()
        stored.send(5)
        victim.process.start()
        eventually(stored.readable, "all records are readable after a kill")


def test_what_is_older_than_the_history_leaves_master_and_readers(
    stored: Stored, start: StartService
) -> None:
    store = start("store", stored.config, environment=stored.environment)
    replica = start("replica-sync", stored.config, environment=stored.environment)
    stored.send(6)
    newer = msgspec.structs.replace(made(6), ts=made(6).ts + 3 * 86_400_000)
    topic = stored.config.names.topic(Topic.SIGNALS)
    produce(stored.config.bootstrap_servers, topic, ("AAPL", encode_signal(newer)))
    eventually(lambda: stored.signals() == list(range(7)), "all signals are readable")
    store.process.stop()

    spec = stored.config.spec
    history = History(signals="2d", performance="2d")
    kept = spec.model_copy(update={"store": spec.store.model_copy(update={"history": history})})  # type: ignore[union-attr]
    config = stored.config.model_copy(update={"spec": kept})
    store = start("store", config, "store-with-history", environment=stored.environment)
    eventually(lambda: stored.signals() == [6], "only the newer one is readable")
    assert store.metric("stockpipeline_store_forgotten_rows_total") == 6, "performance is new"
    eventually(
        lambda: store.metric("stockpipeline_store_lag_records") == 0, "what was deleted does not return"
    )
    assert stored.signals() == [6]
    for service in (store, replica):
        service.process.stop()


def test_a_topic_that_was_made_anew_is_not_taken_for_the_old_one(stored: Stored, start: StartService) -> None:
    store = start("store", stored.config, environment=stored.environment)
    stored.send(8)
    eventually(lambda: store.metric("stockpipeline_store_records_total") == 16, "all are loaded")
    store.process.stop()
    remade(stored.config, Topic.SIGNALS)

    store.process.start()
    eventually(lambda: "deleted and made anew" in store.checks()["kafka"], "it says what is wrong")
    assert stored.config.names.topic(Topic.SIGNALS) in store.checks()["kafka"]
    assert not store.ready()


def test_a_missing_object_store_is_named_and_the_last_good_data_stay(
    stored: Stored, start: StartService
) -> None:
    store = start("store", stored.config, environment=stored.environment)
    replica = start("replica-sync", stored.config, environment=stored.environment)
    stored.send(4)
    eventually(stored.readable, "all records are readable")
    generations = stored.data / "store" / "generations"
    generations.rename(generations.with_name("away"))
    generations.write_text("a file where the folder should be")

    stored.send(4)
    eventually(lambda: store.checks()["publish"] != "ok", "the store says that it cannot publish")
    eventually(
        lambda: replica.metric("stockpipeline_replica_pull_failures_total") > 0, "the replica counts it"
    )
    assert replica.ready(), "it serves what it has"
    generations.unlink()
    generations.with_name("away").rename(generations)
    eventually(stored.readable, "it goes on by itself")
    eventually(store.ready, "the store is ready again")


def remade(config: PipelineConfig, topic: Topic) -> None:
    """Delete a topic and make it anew, empty."""
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

    name = config.names.topic(topic)
    admin = AdminClient({"bootstrap.servers": config.bootstrap_servers})
    admin.delete_topics([name])[name].result(20)
    eventually(lambda: name not in admin.list_topics(timeout=20).topics, "the topic is gone")
    create_topic(config.bootstrap_servers, NewTopic(name, PARTITIONS, 1))
