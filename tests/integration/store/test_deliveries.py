"""Deliveries: in order, once each, whatever comes between; what cannot be loaded is told and left."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from stockpipeline.store import deliveries as module
from stockpipeline.store.deliveries import (
    Deliveries,
    Delivery,
    NotLoaded,
    Outcome,
    Refused,
    Rows,
    files_of,
)
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.remote_store import RemoteStore
from stockpipeline.store.writer import Writer
from tests.integration.store.kills import killed_at_step
from tests.integration.store.masters import bars_of, sums_of


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def deliveries(store: FileStore) -> Deliveries:
    return Deliveries(store)


def bars(day: int, offset: float = 0.0) -> list[Rows]:
    session = f"2024-01-{day + 1:02d}"
    return [Rows("bars", bars_of(day, offset=offset), session, session)]


def outcome(delivery: Delivery, *, loaded: bool = True) -> Outcome:
    return Outcome(
        number=delivery.number, nonce=delivery.nonce, batch=delivery.batch, loaded=loaded, why="because"
    )


def files(store: FileStore) -> list[str]:
    return sorted(found.key for found in store.list("deliveries/files/"))


def test_deliveries_wait_in_order_and_leave_only_their_outcome(
    store: FileStore, deliveries: Deliveries, tmp_path: Path
) -> None:
    first, second = deliveries.submit("day 1", bars(1)), deliveries.submit("day 2", bars(2))
    assert (first.number, second.number) == (1, 2)
    assert deliveries.waiting() == [1, 2]
    (tmp_path / "in").mkdir()
    assert deliveries.fetch(1, tmp_path / "in") == first
    with Writer(tmp_path / "master.duckdb") as writer, writer.transaction("day 1") as load:
        assert load.replace("bars", files_of(tmp_path / "in", 0), "2024-01-02", "2024-01-02") == 200
    assert sums_of(tmp_path / "master.duckdb")[0] == 200

    deliveries.settle(outcome(first))
    assert deliveries.waiting() == [2]
    assert deliveries.await_outcome(first, 0).loaded
    deliveries.settle(outcome(second))
    assert files(store) == []
    assert deliveries.submit("day 3", bars(3)).number == 3


def test_the_same_that_waits_is_not_delivered_twice(store: FileStore, deliveries: Deliveries) -> None:
    first = deliveries.submit("day 1", bars(1))
    assert deliveries.submit("day 1", bars(1)) == first
    assert len(files(store)) == 1
    corrected = deliveries.submit("day 1", bars(1, offset=1.0))
    assert corrected.number == 2
    assert deliveries.submit("day 1", bars(1)).number == 3, "back again, after the correction"


def test_large_tables_are_several_files_and_empty_ones_are_one(
    deliveries: Deliveries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_OF_A_FILE", 60)
    none = bars_of(2).slice(0, 0)
    delivery = deliveries.submit("days", [*bars(1), Rows("bars", none, "2024-01-03", "2024-01-03")])
    assert [len(table.files) for table in delivery.tables] == [4, 1]
    (tmp_path / "in").mkdir()
    deliveries.fetch(1, tmp_path / "in")
    with Writer(tmp_path / "master.duckdb") as writer, writer.transaction("days") as load:
        assert load.load("bars", files_of(tmp_path / "in", 0)) == 200
        assert load.load("bars", files_of(tmp_path / "in", 1)) == 0


def test_a_submitter_that_slept_over_its_number_takes_another(
    store: FileStore, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = store.create

    def sleep_and_create(key: str, data: bytes) -> None:
        monkeypatch.setattr(store, "create", create)
        other = deliveries.submit("faster", bars(1))
        deliveries.settle(outcome(other))
        create(key, data)

    monkeypatch.setattr(store, "create", sleep_and_create)
    assert deliveries.submit("slower", bars(2)).number == 2
    assert deliveries.waiting() == [2]


@pytest.mark.parametrize("fault", ["flipped", "missing", "no Parquet", "no delivery", "unknown table"])
def test_a_bad_delivery_is_refused_left_and_passed_over(
    store: FileStore, deliveries: Deliveries, tmp_path: Path, fault: str
) -> None:
    bad = deliveries.submit("bad", bars(1))
    deliveries.submit("good", bars(2))
    file = bad.tables[0].files[0]
    waiting = "deliveries/waiting/000000000001.json"
    text = store.get(waiting)
    match fault:
        case "flipped":
            store.put(file.key, store.get(file.key)[:-1] + b"?")
        case "missing":
            store.delete([file.key])
        case "no Parquet":
            store.put(file.key, b"no Parquet")
            store.put(
                waiting, text.replace(file.hash.encode(), module.block_hash(b"no Parquet").hex().encode())
            )
        case "no delivery":
            store.put(waiting, b"{")
        case "unknown table":
            store.put(waiting, text.replace(b'"bars"', b'"bears"'))
    (tmp_path / "in").mkdir()
    expected = {
        "flipped": "other content than was delivered",
        "missing": "is not in file:",
        "no Parquet": "is no Parquet file",
        "no delivery": "is no delivery",
        "unknown table": "'bears' is no table of the batch",
    }[fault]
    with pytest.raises(Refused, match=expected) as refused:
        deliveries.fetch(1, tmp_path / "in")
    before = store.get(waiting), files(store)
    deliveries.refuse(1, str(refused.value))
    assert (store.get(waiting), files(store)) == before, "left as it is"
    assert deliveries.waiting() == [2]
    with pytest.raises(Refused, match=expected):
        deliveries.await_outcome(bad, 0)


def test_a_delivery_that_nobody_loads_is_told_after_a_while(deliveries: Deliveries) -> None:
    delivery = deliveries.submit("day 1", bars(1))
    with pytest.raises(NotLoaded, match=r"delivery 1 \(day 1\) waits in file:.* is the store running"):
        deliveries.await_outcome(delivery, 0)


def test_what_is_old_goes(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_OUTCOMES", 2)
    past = Deliveries(store, now=lambda: time.time() - 2 * 86_400)
    refused = past.submit("refused", bars(1))
    past.settle(outcome(refused, loaded=False))
    waits = past.submit("waits", bars(2))
    store.put("deliveries/files/0000000000000001-killed/0-bars-0.parquet", b"of a submitter that was killed")
    now = Deliveries(store)
    for day in range(3, 6):
        now.settle(outcome(now.submit(f"day {day}", bars(day))))
    assert now.waiting() == [2]
    assert now.outcome(1) is None
    assert now.outcome(5) is not None
    assert files(store) == [waits.tables[0].files[0].key]


def test_a_submitter_killed_at_any_step_delivers_once_when_it_runs_again(tmp_path: Path) -> None:
    for step in range(1, 60):
        deliveries = Deliveries(FileStore(tmp_path / f"store-{step}"))
        status = killed_at_step(step, partial(deliveries.submit, "day 1", bars(1)))
        assert deliveries.submit("day 1", bars(1)).number == 1
        assert deliveries.waiting() == [1]
        assert deliveries.submit("day 2", bars(2)).number == 2
        if status == 0:
            break
    assert status == 0, "not all steps were tried"
    assert step > 5


def test_settling_that_was_killed_at_any_step_comes_to_its_end(tmp_path: Path) -> None:
    for step in range(1, 60):
        store = FileStore(tmp_path / f"store-{step}")
        deliveries = Deliveries(store)
        settled = outcome(deliveries.submit("day 1", bars(1)))
        status = killed_at_step(step, partial(deliveries.settle, settled))
        if deliveries.waiting():
            deliveries.settle(settled)
        assert deliveries.outcome(1) == settled
        assert deliveries.waiting() == []
        assert deliveries.submit("day 2", bars(2)).number == 2
        if status == 0:
            break
    assert status == 0, "not all steps were tried"
    assert step > 5


def test_the_whole_way_through_s3(s3_store: RemoteStore, tmp_path: Path) -> None:
    deliveries = Deliveries(s3_store)
    delivery = deliveries.submit("day 1", bars(1))
    assert deliveries.submit("day 1", bars(1)) == delivery
    assert deliveries.fetch(1, tmp_path) == delivery
    deliveries.settle(outcome(delivery))
    assert deliveries.await_outcome(delivery, 0).loaded
    assert deliveries.waiting() == []
