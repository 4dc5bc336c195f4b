"""Deliveries inside the store's service: settled only when what they brought was published."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.deliveries import Deliveries, Rows
from stockpipeline.store.errors import MasterBusy
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.loads import Transaction
from stockpipeline.store.writer import Writer
from stockpipeline.store_service.arrivals import Arrivals
from stockpipeline.store_service.publisher_process import Received
from tests.integration.store.masters import bars_of


class Store:
    """A master, and a delivery that has arrived for it."""

    def __init__(self, folder: Path, *, publishes: bool) -> None:
        self.master = folder / "master.duckdb"
        self.busy = False
        metrics = StoreMetrics(CollectorRegistry(), "demo")
        self.arrivals = Arrivals(self._open, metrics, publishes=publishes)
        deliveries = Deliveries(FileStore(folder / "store"))
        deliveries.submit("day 1", [Rows("bars", bars_of(1), "2024-01-02", "2024-01-02")])
        (folder / "arriving").mkdir()
        delivery = deliveries.fetch(1, folder / "arriving")
        assert self.arrivals.task() is not None
        self.arrivals.received(Received(waiting=1, delivery=delivery, folder=str(folder / "arriving")))

    def _open(self) -> Writer:
        if self.busy:
            raise MasterBusy("a test has it")
        return Writer(self.master)


def test_a_delivery_is_settled_when_readers_can_see_it(tmp_path: Path) -> None:
    store = Store(tmp_path, publishes=True)
    assert store.arrivals.load()
    # A writer that was replaced cannot publish: what it loaded stays for the one that did replace it.
    assert not store.arrivals.arrived
    assert store.arrivals.task() is None
    store.arrivals.published(7)
    task = store.arrivals.task()
    assert task is not None
    assert task.settled is not None
    assert (task.settled.number, task.settled.loaded, task.settled.generation) == (1, True, 7)
    assert task.settled.rows == {"bars": 200}


def test_a_store_without_replicas_settles_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path, publishes=False)
    assert store.arrivals.load()
    task = store.arrivals.task()
    assert task is not None
    assert task.settled is not None
    assert task.settled.generation is None


def test_a_master_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    store = Store(tmp_path, publishes=True)
    store.busy = True
    with pytest.raises(MasterBusy):
        store.arrivals.load()
    assert store.arrivals.arrived
    store.busy = False
    assert store.arrivals.load()


def test_more_than_memory_takes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> int:
        raise duckdb.OutOfMemoryException("failed to allocate 1 GiB")

    store = Store(tmp_path, publishes=True)
    monkeypatch.setattr(Transaction, "replace", no_memory)
    assert not store.arrivals.load()
    task = store.arrivals.task()
    assert task is not None
    assert task.settled is not None
    assert (task.settled.loaded, task.settled.why) == (False, "failed to allocate 1 GiB")
