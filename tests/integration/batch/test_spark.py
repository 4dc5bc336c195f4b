"""The engine Spark on this machine: the same bytes as the engine Local, on the real symbols."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from cluster import side_environments
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.spark_local import compute
from stockpipeline.api import DEFAULT_INDICATORS
from stockpipeline.batch.compute import compute_all
from stockpipeline.batch.lake import PARTS, Lake, actions_table, bars_table, part_of, write_part
from stockpipeline.batch.watchlist import batch_indicators
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.packaged import PACKAGED_SYMBOLS, packaged_bars
from tests.integration.services.support import pipeline


def make_lake(folder: Path) -> Lake:
    lake = Lake(folder)
    for part in range(PARTS):
        symbols = [symbol for symbol in PACKAGED_SYMBOLS if part_of(symbol) == part]
        write_part(lake.bars(part), bars_table({symbol: packaged_bars(symbol) for symbol in symbols}))
    split = CorporateAction(int(packaged_bars("IBM").sessions[-200]), split=2.0, dividend=0.5)
    write_part(lake.actions(part_of("IBM")), actions_table({"IBM": [split]}))
    return lake


def indicators(lake: Lake) -> dict[str, str]:
    parts = sorted((lake.folder / "indicators").iterdir())
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in parts}


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of Spark's environment, which may have to be made."""
    return side_environments.ensure(Settings.from_environment(), side_environments.SPARK, Progress())


def test_both_engines_give_the_same_bytes_and_take_turns(python: Path, tmp_path: Path) -> None:
    settings = Settings.from_environment()
    config = tmp_path / "pipeline.json"
    demo = pipeline("spark", "127.0.0.1:9092", "redis://127.0.0.1:6379/0")
    config.write_text(json.dumps(demo.model_dump(mode="json", by_alias=True, exclude_none=True)))
    local, spark = make_lake(tmp_path / "local"), make_lake(tmp_path / "spark")
    wanted = batch_indicators(demo.spec.indicators)
    assert len(wanted) > len(DEFAULT_INDICATORS)
    rows = sum(len(packaged_bars(symbol)) for symbol in PACKAGED_SYMBOLS)

    assert compute_all(local, wanted).rows == rows
    report = compute(settings, python, config, spark.folder)
    assert (report["parts"], report["rows"]) == (PARTS, rows)
    assert indicators(spark) == indicators(local)
    # What one engine has done, the other takes for done.
    assert compute_all(spark, wanted).parts == 0

    spark.bars(7).write_bytes(b"broken")
    with pytest.raises(RuntimeError, match=r"BrokenPart.*part-07"):
        compute(settings, python, config, spark.folder)
