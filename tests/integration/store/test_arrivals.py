"""Deliveries inside the store's service: settled only when what they brought was published."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.batch.run_quality import runs_table
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.deliveries import Deliveries, Rows
from stockpipeline.store.errors import MasterBusy
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.loads import Transaction
from stockpipeline.store.writer import Writer
from stockpipeline.store_service.arrivals import Arrivals
from stockpipeline.store_service.publisher_process import Received
from stockpipeline.store_service.run_figures import show_newest_run
from tests.integration.store.masters import bars_of


class Store:
    """A master, and a delivery that has arrived for it."""

    def __init__(self, folder: Path, *, publishes: bool) -> None:
        self.master = folder / "master.duckdb"
        self.busy = False
        self.registry = CollectorRegistry()
        self.arrivals = Arrivals(self._open, StoreMetrics(self.registry, "demo"), publishes=publishes)
        self._folder = folder
        self._deliveries = Deliveries(FileStore(folder / "store"))
        self.arrive("day 1", Rows("bars", bars_of(1), "2024-01-02", "2024-01-02"))

    def arrive(self, batch: str, rows: Rows) -> None:
        """Deliver, and receive that."""
        number = self._deliveries.submit(batch, [rows]).number
        arriving = self._folder / f"arriving-{number}"
        arriving.mkdir()
        delivery = self._deliveries.fetch(number, arriving)
        assert self.arrivals.task() is not None
        self.arrivals.received(Received(waiting=1, delivery=delivery, folder=str(arriving)))

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


def run_of(day: int, **measures: float) -> Rows:
    """The figures of a session's run; underscores are spaces in their names."""
    session = date(2024, 1, day)
    named = {name.replace("_", " "): value for name, value in measures.items()}
    table = runs_table(session.toordinal() - date(1970, 1, 1).toordinal(), named)
    return Rows("runs", table, session.isoformat(), session.isoformat())


def figures(registry: CollectorRegistry) -> dict[str, float]:
    """What is exported of the batch's runs."""
    return {
        " ".join((sample.name.removeprefix("stockpipeline_batch_"), *list(sample.labels.values())[1:])): (
            sample.value
        )
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name.startswith("stockpipeline_batch_")
    }


def test_the_newest_session_s_figures_are_exported_also_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path, publishes=False)
    assert store.arrivals.load()
    assert figures(store.registry) == {}, "no run was loaded"
    of_the_third = {
        "loaded_session_seconds": 1_704_240_000.0,
        "coverage_ratio": 0.75,
        "watchlist_stocks": 2.0,
        "stocks ok": 3.0,
        "stocks error": 1.0,
        "problems gap": 5.0,
    }
    third = run_of(3, coverage=0.75, symbols=4, outcome_ok=3, outcome_error=1, problem_gap=5, watchlist=2)
    store.arrive("batch of the 3rd", third)
    assert store.arrivals.load()
    assert figures(store.registry) == of_the_third
    # A session of the past that is run again does not count as the newest.
    store.arrive("batch of the 2nd", run_of(2, coverage=1.0, symbols=4, outcome_ok=4, watchlist=0))
    assert store.arrivals.load()
    assert figures(store.registry) == of_the_third

    restarted = CollectorRegistry()
    with Writer(store.master) as writer:
        show_newest_run(writer, StoreMetrics(restarted, "demo"))
    assert figures(restarted) == of_the_third

    store.arrive("batch of the 4th", run_of(4, coverage=1.0, symbols=4, outcome_ok=4, watchlist=0))
    assert store.arrivals.load()
    assert figures(store.registry) == {
        "loaded_session_seconds": 1_704_326_400.0,
        "coverage_ratio": 1.0,
        "watchlist_stocks": 0.0,
        "stocks ok": 4.0,
    }
