"""Whole nights against the stand-ins of NASDAQ and Yahoo, with a real store and a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import PipelineConfig
from stockpipeline.cli import main
from stockpipeline.market.sessions import session_iso
from stockpipeline.store.deliveries import Deliveries
from stockpipeline.store.file_store import FileStore
from tests.integration.batch.universe import DEAD, SESSIONS, SYMBOLS, Exchange, collecting, exchange

DAYS = [session_iso(session) for session in SESSIONS]


class Batch:
    """`stockpipeline batch` for one pipeline and one folder."""

    def __init__(self, config: PipelineConfig, at: Exchange, folder: Path, capsys: Any) -> None:
        self.folder, self._at, self._capsys = folder, at, capsys
        self.file = folder / "pipeline.json"
        self.file.write_text(json.dumps(config.model_dump(mode="json", by_alias=True, exclude_none=True)))
        self.targets = [
            *("--master", str(folder / "master.duckdb"), "--store", f"file://{folder}/store"),
            *("--replica", str(folder / "replica")),
        ]

    def run(self, step: str, day: str, *words: str, lake: str = "lake") -> tuple[int, list[dict[str, Any]]]:
        """Return the exit status and the objects that were printed."""
        command = ["batch", step, "--json", "--config", str(self.file), "--session", day]
        status = main([*command, "--lake", str(self.folder / lake), *words])
        return status, [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def night(self, day: str, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Run whole nights; return the exit status and the reports by the names of steps."""
        status, told = self.run("night", day, *self._at.listing_words(), *self.targets, *words)
        return status, {report.get("step", "failure"): report for report in told}

    def forget_output(self) -> None:
        self._capsys.readouterr()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "master.duckdb"), read_only=True) as master:
            return master.execute(sql).fetchall()

    def lake(self, name: str = "lake") -> dict[str, str]:
        """The lake's files with the digests of their bytes."""
        parts = sorted((self.folder / name).rglob("part-*.parquet"))
        nights = sorted((self.folder / name / "nights").rglob("*.*"))
        return {
            str(path.relative_to(self.folder / name)): sha256(path.read_bytes()).hexdigest()
            for path in [*parts, *nights]
        }


@pytest.fixture
def at() -> Iterator[Exchange]:
    with exchange() as made:
        yield made


@pytest.fixture
def batch(
    at: Exchange,
    redis: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> Batch:
    name = request.node.name.replace("_", "-")[:50]
    return Batch(collecting(name, redis, at.yahoo.chart_url), at, tmp_path, capsys)


def test_nights_follow_each_other_and_again_is_the_same(batch: Batch, at: Exchange, redis: str) -> None:
    status, told = batch.night(DAYS[-3])
    assert status == 0
    assert told[f"{DAYS[-3]} collect"]["symbols"] == 13
    assert told[f"{DAYS[-3]} gate"]["outcomes"] == {"delisted": 1, "ok": 12}
    assert told[f"{DAYS[-3]} load"]["indicators"] > 0
    assert told[f"{DAYS[-3]} sync"]["redis"]["written"] == 12
    asked = at.yahoo.asked[DEAD]

    # Two more sessions: each symbol is asked for once a night, the dead one not at all.
    before = at.yahoo.asked["S00"]
    status, told = batch.night(DAYS[-2], "--until", DAYS[-1])
    assert status == 0
    assert told[f"{DAYS[-1]} download"] == {
        "ok": True, "step": f"{DAYS[-1]} download", "symbols": 13, "outcomes": {"ok": 12}, "gone": 1,
    }  # fmt: skip
    assert at.yahoo.asked["S00"] - before == 2
    assert at.yahoo.asked[DEAD] == asked
    bars = {symbol: len(at.yahoo.past[symbol].days) for symbol in SYMBOLS}
    config = collecting(json.loads(batch.file.read_text())["name"], redis, at.yahoo.chart_url)
    history = HistoryStore(redis, config.names).get_many(SYMBOLS)
    assert {symbol: len(one) for symbol, one in history.items() if one is not None} == {
        symbol: min(250, count) for symbol, count in bars.items()
    }
    assert batch.query("SELECT count(*) FROM bars WHERE session = '" + DAYS[-1] + "'") == [(12,)]
    runs = batch.query("SELECT session::VARCHAR, value FROM runs WHERE measure = 'outcome ok' ORDER BY 1")
    assert runs == [(day, 12.0) for day in DAYS[-3:]]

    # The last night again, and a past one: nothing changes anywhere.
    lake, store = batch.lake(), batch.query("SELECT * FROM meta.commits ORDER BY number")
    for day in (DAYS[-1], DAYS[-2]):
        status, told = batch.night(day)
        assert status == 0
        assert told[f"{day} sync"]["redis"]["written"] == 0
    assert batch.lake() == lake
    assert batch.query("SELECT * FROM meta.commits ORDER BY number") == store


def test_batches_step_by_step_give_the_bytes_of_one_process(
    batch: Batch, at: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = DAYS[-1]
    assert batch.night(day)[0] == 0
    steps: list[tuple[str, ...]] = [
        ("collect", *at.listing_words()),
        *(("download", "--batch", str(number), "--batches", "3") for number in (2, 0, 1, 0)),
        ("gate",),
        ("merge",),
        ("compute",),
        ("scan",),
    ]
    for step, *words in steps:
        if step == "compute":
            status = main(
                ["batch", "compute", "--config", str(batch.file), "--lake", f"{batch.folder}/apart"]
            )
            batch.forget_output()
        else:
            status, _ = batch.run(step, day, *words, lake="apart")
        assert status == 0, step
    assert batch.lake("apart") == batch.lake()
    # There is no service that would load it: that is told, and it waits for one.
    monkeypatch.setenv("STOCKPIPELINE_DATA", str(batch.folder))
    status, (told,) = batch.run("load", day, "--deliver", "--timeout", "0", lake="apart")
    assert (status, told["ok"], told["error"]) == (1, False, "NotLoaded")
    assert "is the store running?" in told["message"]
    assert Deliveries(FileStore(batch.folder / "store" / "generations")).waiting() == [1]


def test_refusals_stop_the_night_until_they_pass(batch: Batch, at: Exchange) -> None:
    day = DAYS[-1]
    assert batch.run("collect", day, *at.listing_words())[0] == 0
    at.yahoo.faults.chart_status = 429
    status, told = batch.run("download", day, "--wait", "0")
    assert (status, told[0]["error"]) == (1, "SourceRefuses")
    assert "13 rate-limited" in told[0]["message"]
    assert sum(at.yahoo.asked[symbol] > 0 for symbol in (*SYMBOLS, DEAD)) == 5, "it gave up after five"
    status, told = batch.run("gate", day)
    assert (status, told[0]["error"]) == (1, "CoverageTooLow")
    assert "13 rate-limited (DEAD1, S00," in told[0]["message"]
    at.yahoo.faults.chart_status = 500
    assert batch.run("download", day, "--wait", "0")[1][0]["error"] == "NotSettled"
    at.yahoo.faults.chart_status = 0
    assert batch.run("download", day)[0] == 0
    assert batch.run("gate", day)[1][0]["coverage"] == 1.0


def test_what_does_not_come_stops_the_night_before_the_store(batch: Batch, at: Exchange) -> None:
    for symbol in SYMBOLS[:3]:
        del at.yahoo.past[symbol].days[SESSIONS[-1]]
    status, told = batch.night(DAYS[-1])
    assert status == 1
    assert told["failure"]["message"].startswith("75.0% of the active symbols have a bar")
    assert "3 no data (S00, S01, S02)" in told["failure"]["message"]
    assert not (batch.folder / "master.duckdb").exists()


def test_a_listing_that_is_cut_or_has_shrunk_is_refused(batch: Batch, at: Exchange) -> None:
    assert batch.run("collect", DAYS[-2], *at.listing_words())[0] == 0
    at.nasdaq.faults.cut = True
    status, told = batch.run("collect", DAYS[-1], *at.listing_words())
    assert (status, told[0]["error"]) == (1, "BadListing")
    at.nasdaq.faults.cut = False
    del at.nasdaq.listings[:6]
    status, told = batch.run("collect", DAYS[-1], *at.listing_words())
    assert (status, told[0]["error"]) == (1, "ShrunkenListing")
    status, told = batch.run("collect", DAYS[-1], "--accept-fewer", *at.listing_words())
    assert (status, told[0]["symbols"], told[0]["gone"]) == (0, 7, 6)


def test_steps_say_which_one_is_missing(batch: Batch) -> None:
    for step, missing in (
        ("download", "collect the symbols"),
        ("gate", "collect the symbols"),
        ("scan", "collect"),
    ):
        status, told = batch.run(step, DAYS[-1])
        assert (status, told[0]["error"]) == (1, "StepMissing")
        assert missing in told[0]["message"]
    status, told = batch.run("load", DAYS[-1], "--master", str(batch.folder / "master.duckdb"))
    assert "scan the session first" in told[0]["message"]
    status, told = batch.run("gate", "2024-06-29")
    assert (status, told[0]["message"]) == (1, "XNAS has no session on 2024-06-29")
