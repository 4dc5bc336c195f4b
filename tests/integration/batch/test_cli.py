"""`stockpipeline batch …`: from a lake and a store to Redis, with exit statuses that are true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import PipelineConfig
from stockpipeline.batch.compute import compute_all
from stockpipeline.batch.lake import PARTS, Lake, bars_table, part_of, write_part
from stockpipeline.batch.load import Results, load_store
from stockpipeline.batch.watchlist import batch_indicators
from stockpipeline.cli import main
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_iso
from stockpipeline.store.writer import Writer
from tests.integration.services.support import pipeline

SERIES = {symbol: packaged_bars(symbol).last(300) for symbol in ("AAPL", "IBM", "MSFT")}
LAST = int(SERIES["IBM"].sessions[-1])


def config_file(folder: Path, config: PipelineConfig) -> str:
    path = folder / "pipeline.json"
    path.write_text(json.dumps(config.model_dump(mode="json", by_alias=True)))
    return str(path)


def test_from_bars_to_redis(redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = pipeline("batch-cli", "127.0.0.1:9092", redis)
    file, lake = config_file(tmp_path, config), Lake(tmp_path / "lake")
    for part in range(PARTS):
        of_part = {symbol: one for symbol, one in SERIES.items() if part_of(symbol) == part}
        write_part(lake.bars(part), bars_table(of_part))
    words = ["batch", "compute", "--config", file, "--lake", str(lake.folder)]
    assert main(words) == 0
    assert capsys.readouterr().out == "compute: parts 64, unchanged 0, rows 900\n"
    assert main(words) == 0
    assert capsys.readouterr().out == "compute: parts 0, unchanged 64, rows 0\n"
    assert compute_all(lake, batch_indicators(config.spec.indicators)).parts == 0, (
        "the pipeline's indicators, and the scan's"
    )

    with Writer(tmp_path / "master.duckdb") as writer:
        load_store(writer, lake, batch_indicators(config.spec.indicators), LAST, Results(), since=0)
    store, replica = f"file://{tmp_path}/store", str(tmp_path / "replica")
    assert main(["replica", "publish", "--master", str(tmp_path / "master.duckdb"), "--store", store]) == 0
    assert main(["replica", "pull", "--store", store, "--dir", replica]) == 0
    capsys.readouterr()

    words = ["batch", "sync", "--config", file, "--replica", replica]
    assert main(words) == 0
    day = session_iso(LAST)
    told = (
        f"sync: session {day}, generation 1, redis symbols 3 written {{}} removed 0 leaving 0 generation 1\n"
    )
    assert capsys.readouterr().out == told.format(3)
    history = HistoryStore(redis, config.names)
    assert history.get_many(list(SERIES)) == {symbol: one.last(250) for symbol, one in SERIES.items()}
    assert main([*words, "--validate"]) == 0
    assert capsys.readouterr().out == told.format(0)

    earlier = session_iso(int(SERIES["IBM"].sessions[-3]))
    assert main([*words, "--session", earlier]) == 0
    assert "redis symbols 3 written 3 removed 0" in capsys.readouterr().out
    assert history.get_many(["IBM"]) == {"IBM": SERIES["IBM"][:-2].last(250)}


def test_what_is_not_there_is_told(redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = config_file(tmp_path, pipeline("batch-cli-none", "127.0.0.1:9092", redis))
    assert main(["batch", "compute", "--config", file, "--lake", str(tmp_path / "none")]) == 1
    assert "none is no lake: it has no folder bars" in capsys.readouterr().err
    assert main(["batch", "sync", "--config", file, "--replica", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("stockpipeline batch sync: ")
