"""From the lake to the store and from the store to histories: all or nothing, and twice is once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.api import BAR_FIELDS
from stockpipeline.batch.compute import compute_all
from stockpipeline.batch.histories import histories, newest_session
from stockpipeline.batch.lake import PARTS, BrokenPart, Lake, actions_table, bars_table, part_of, write_part
from stockpipeline.batch.load import Loaded, Results, deliver, load_store
from stockpipeline.batch.quality import Problem
from stockpipeline.batch.scan import Scanner
from stockpipeline.batch.watchlist import SCAN_INDICATORS, SCAN_RULES, choose
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction, adjusted
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.runtime.store_metrics import StoreMetrics
from stockpipeline.store.deliveries import Deliveries
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.tables import KEYS
from stockpipeline.store.writer import Writer
from stockpipeline.store_service.arrivals import Arrivals
from stockpipeline.store_service.publisher_process import Received

SYMBOLS = ("AAPL", "IBM", "MSFT")
SERIES = {symbol: packaged_bars(symbol).last(320) for symbol in SYMBOLS}
LAST = int(SERIES["IBM"].sessions[-1])
SPLIT = CorporateAction(int(SERIES["AAPL"].sessions[-10]), split=7.0, dividend=0.5)
VALUES = 8


def make_lake(folder: Path, series: dict[str, BarSeries]) -> Lake:
    lake = Lake(folder)
    for part in range(PARTS):
        of_part = {symbol: one for symbol, one in series.items() if part_of(symbol) == part}
        write_part(lake.bars(part), bars_table(of_part))
        known = {"AAPL": [SPLIT]} if "AAPL" in of_part else {}
        write_part(lake.actions(part), actions_table(known))
    compute_all(lake, SCAN_INDICATORS)
    return lake


def query(master: Path) -> Any:
    database = duckdb.connect(str(master), read_only=True)

    def run(sql: str, parameters: Sequence[Any]) -> pa.Table:
        return database.execute(sql, parameters).to_arrow_table()

    return run


def results(lake: Lake, session: int) -> Results:
    picks = choose(Scanner(SCAN_INDICATORS, SCAN_RULES).scan_all(lake, session), 10)
    problems = (Problem(session, "IBM", "zero-price", "open 0"),)
    return Results(tuple(picks), problems, {"symbols": 3.0, "coverage": 1.0})


def test_loading_twice_is_once_and_a_correction_is_what_it_says(tmp_path: Path) -> None:
    lake, master = make_lake(tmp_path / "lake", SERIES), tmp_path / "master.duckdb"
    first = int(SERIES["IBM"].sessions[-5])
    with Writer(master) as writer:
        found = results(lake, LAST)
        loaded = load_store(writer, lake, SCAN_INDICATORS, LAST, found, since=first)
        assert loaded == Loaded(15, 1, 3 * VALUES, len(found.watchlist), 1, 2)
        nothing = Loaded(0, 0, 0, 0, 0, 0)
        assert load_store(writer, lake, SCAN_INDICATORS, LAST, found, since=first) == nothing
        assert load_store(writer, lake, SCAN_INDICATORS, LAST, found) == nothing
        commit = writer.last_commit()
        assert commit is not None
        assert commit.number == 1

        # A bar that turns out to be wrong is gone, and so is a pick of a scan that no longer finds it.
        fewer = {**SERIES, "IBM": SERIES["IBM"][:-1]}
        corrected = make_lake(tmp_path / "lake", fewer)
        again = load_store(writer, corrected, SCAN_INDICATORS, LAST, Results())
        assert again == Loaded(1, 0, VALUES, len(found.watchlist), 0, 2)


def test_what_is_delivered_is_what_would_be_loaded(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", SERIES)
    first, found = int(SERIES["IBM"].sessions[-5]), results(lake, LAST)
    with Writer(tmp_path / "master.duckdb") as writer:
        load_store(writer, lake, SCAN_INDICATORS, LAST, found, since=first)
    deliveries = Deliveries(FileStore(tmp_path / "store"))
    deliver(deliveries, lake, SCAN_INDICATORS, LAST, found, since=first)
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    arrivals = Arrivals(
        lambda: Writer(tmp_path / "served.duckdb"), StoreMetrics(CollectorRegistry(), "demo"), publishes=True
    )
    arrivals.received(Received(waiting=1, delivery=deliveries.fetch(1, arriving), folder=str(arriving)))
    assert arrivals.load()
    loaded, served = query(tmp_path / "master.duckdb"), query(tmp_path / "served.duckdb")
    for table in KEYS:
        rows = f"FROM {table} ORDER BY ALL"
        assert served(rows, []).equals(loaded(rows, [])), table
    assert served("SELECT batch FROM meta.commits", []).equals(loaded("SELECT batch FROM meta.commits", []))


def test_a_broken_part_loads_nothing(tmp_path: Path) -> None:
    lake, master = make_lake(tmp_path / "lake", SERIES), tmp_path / "master.duckdb"
    lake.indicators(part_of("MSFT")).write_bytes(b"broken")
    with Writer(master) as writer:
        with pytest.raises(BrokenPart, match="cannot be read"):
            load_store(writer, lake, SCAN_INDICATORS, LAST, Results())
        assert writer.last_commit() is None


def test_histories_are_adjusted_and_end_at_the_session(tmp_path: Path) -> None:
    old = SERIES["IBM"][:-45]
    lake, master = make_lake(tmp_path / "lake", {**SERIES, "GONE": old}), tmp_path / "master.duckdb"
    with Writer(master) as writer:
        load_store(writer, lake, SCAN_INDICATORS, LAST, Results(), since=0)
    ask = query(master)
    assert newest_session(ask) == LAST
    found = histories(ask, LAST, 250)
    assert found.keys() == set(SYMBOLS), "GONE was not traded for long"
    assert found["IBM"] == SERIES["IBM"].last(250)
    assert found["AAPL"] == adjusted(SERIES["AAPL"], [SPLIT]).last(250)
    assert not np.array_equal(found["AAPL"].close, SERIES["AAPL"].last(250).close)
    earlier = int(SERIES["IBM"].sessions[-20])
    before = histories(ask, earlier, 100)
    assert before["AAPL"] == SERIES["AAPL"][:-19].last(100), "before the split there is nothing to adjust"


def test_an_empty_store_has_no_histories(tmp_path: Path) -> None:
    with Writer(tmp_path / "master.duckdb"):
        pass
    ask = query(tmp_path / "master.duckdb")
    assert newest_session(ask) is None
    assert histories(ask, LAST) == {}


def test_readers_find_prices_both_as_traded_and_adjusted(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", SERIES)
    with Writer(tmp_path / "master.duckdb") as writer:
        load_store(writer, lake, SCAN_INDICATORS, LAST, results(lake, LAST), since=0)
    read = query(tmp_path / "master.duckdb")
    for symbol, series in SERIES.items():
        wanted = {
            "bars": ("traded", series),
            "adjusted_bars": ("adjusted", adjusted(series, [SPLIT] if symbol == "AAPL" else [])),
        }
        for table, (basis, bars) in wanted.items():
            found = read(f"FROM {table} WHERE symbol = ? ORDER BY session", [symbol])
            assert found.column("basis").unique().to_pylist() == [basis]
            for field in BAR_FIELDS:
                # DuckDB multiplies factors in an order of its own.
                np.testing.assert_allclose(found.column(field), getattr(bars, field), rtol=1e-12)
