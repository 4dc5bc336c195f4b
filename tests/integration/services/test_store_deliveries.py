"""The batch's rows on their way through the store as a service: each delivery once, in order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stockpipeline.api import PipelineConfig
from stockpipeline.store import open_replica
from stockpipeline.store.deliveries import Deliveries, Refused, Rows
from stockpipeline.store.errors import NoReplica
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.writer import Writer
from tests.integration.services.conftest import StartService
from tests.integration.services.support import create_topics, eventually, pipeline
from tests.integration.store.masters import bars_of

PATIENCE_SECONDS = 300
SYNC = {"schedule": {"publish": "200ms", "pull": "200ms"}}
CLOSES = "SELECT session::VARCHAR, count(*), max(close) FROM bars GROUP BY ALL ORDER BY ALL"


class Delivered:
    """A pipeline with a store, and deliveries to it."""

    def __init__(self, config: PipelineConfig, data: Path) -> None:
        self.config = config
        self.data = data
        self.master = data / "store" / "master.duckdb"
        self.environment = {"STOCKPIPELINE_DATA": str(data)}
        self.deliveries = Deliveries(FileStore(data / "store" / "generations"))

    def bars(self, day: int, offset: float = 0.0) -> list[Rows]:
        """The bars of one session."""
        session = f"2024-01-{day + 1:02d}"
        return [Rows("bars", bars_of(day, offset=offset), session, session)]

    def readable(self) -> list[tuple[object, ...]]:
        """What a reader of the replica gets."""
        replica = open_replica(self.data / "replica")
        try:
            with replica.read() as snapshot:
                return snapshot.execute(CLOSES).fetchall()
        except NoReplica:
            return []
        finally:
            replica.close()


@pytest.fixture
def made(request: pytest.FixtureRequest, kafka: str, redis: str, tmp_path: Path) -> Callable[..., Delivered]:
    def make(**spec: object) -> Delivered:
        name = request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
        config = pipeline(name, kafka, redis, store={}, **spec)
        create_topics(config)
        return Delivered(config, tmp_path / "data")

    return make


def day(number: int, offset: float = 0.0) -> tuple[str, int, float]:
    """What a reader gets of a day's bars."""
    return f"2024-01-{number + 1:02d}", 200, 149.0 + number + offset


def test_deliveries_reach_readers_and_bad_ones_are_told_and_left(
    made: Callable[..., Delivered], start: StartService
) -> None:
    batch = made(replicaSync=SYNC)
    waited = batch.deliveries.submit("before there was a store", batch.bars(1))
    store = start("store", batch.config, environment=batch.environment)
    start("replica-sync", batch.config, environment=batch.environment)
    outcome = batch.deliveries.await_outcome(waited, PATIENCE_SECONDS)
    assert outcome.rows == {"bars": 200}
    assert outcome.generation is not None
    eventually(lambda: batch.readable() == [day(1)], "what was delivered is readable")

    # The same again changes not one byte and makes no generation.
    content = batch.master.read_bytes()
    again = batch.deliveries.submit("again", batch.bars(1))
    repeated = batch.deliveries.await_outcome(again, PATIENCE_SECONDS)
    assert (repeated.rows, repeated.generation) == ({"bars": 0}, outcome.generation)
    assert batch.master.read_bytes() == content

    corrected = batch.deliveries.submit("corrected", batch.bars(1, offset=1.0))
    batch.deliveries.await_outcome(corrected, PATIENCE_SECONDS)
    eventually(lambda: batch.readable() == [day(1, 1.0)], "the correction is readable")

    wrong = Rows("bars", bars_of(2), "2024-01-09", "2024-01-09")
    bad = batch.deliveries.submit("of another session", [wrong])
    good = batch.deliveries.submit("good", batch.bars(3))
    with pytest.raises(Refused, match="rows for bars are of 2024-01-03, not from 2024-01-09"):
        batch.deliveries.await_outcome(bad, PATIENCE_SECONDS)
    batch.deliveries.await_outcome(good, PATIENCE_SECONDS)
    eventually(lambda: batch.readable() == [day(1, 1.0), day(3)], "the good one is readable")
    files = batch.data / "store" / "generations" / "deliveries" / "files"
    eventually(lambda: len(list(files.rglob("*.parquet"))) == 1, "only what was refused is left")
    exported = store.get("/metrics")[1]
    for result, count in (("refused", 1), ("loaded", 4)):
        labels = f'pipeline="{batch.config.name}",result="{result}"'
        assert f"stockpipeline_store_deliveries_total{{{labels}}} {count}.0" in exported
    eventually(lambda: store.metric("stockpipeline_store_waiting_deliveries") == 0, "nothing waits")
    eventually(store.ready, "the store is ready")


def test_kills_of_the_store_load_all_deliveries_once_and_in_order(
    made: Callable[..., Delivered], start: StartService
) -> None:
    chance = random.Random(3)
    batch = made()  # a store without replicas takes deliveries as well
    store = start("store", batch.config, environment=batch.environment)
    eventually(store.ready, "the store works")
    for turn in range(2):
        pending = [
            batch.deliveries.submit(f"{turn} {place}", batch.bars(number, turn))
            for place, number in enumerate((1, 2, 1))
        ]
        time.sleep(chance.uniform(0, 1.5))  # the moment is random on purpose
        store.process.kill()
        pending.append(batch.deliveries.submit(f"{turn} last", batch.bars(2, turn + 0.5)))
        store.process.start()
        for one in pending:
            batch.deliveries.await_outcome(one, PATIENCE_SECONDS)
    store.process.kill()
    assert batch.deliveries.waiting() == []
    with Writer(batch.master) as writer:
        assert writer._connection.execute(CLOSES).fetchall() == [day(1, 1), day(2, 1.5)]
