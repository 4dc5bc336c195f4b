"""`stockpipeline symbols`, from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stockpipeline.cli import main

HEADER = "Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares"
PIPELINE = {
    "namespace": "test", "name": "all",
    "spec": {
        "universe": {"collect": {"minimumShare": 0.9, "tiers": [{"name": "mega", "minimumMarketCap": 1000}]}},
        "sources": [{"name": "yahoo", "yahoo": {}}],
        "kafka": {"bootstrapServers": "kafka:9092"}, "redis": {"url": "redis://redis/0"},
    },
}  # fmt: skip


def files(folder: Path, count: int) -> list[str]:
    names = [f"S{number}" for number in range(count)]
    rows = [f"{name}|{name} Inc|Q|N|N|100|N|N" for name in names]
    trailer = "File Creation Time: 1|||||||"
    (folder / "listed.txt").write_text("\n".join([HEADER, *rows, trailer]))
    found = [{"symbol": name, "marketCap": "2000", "sector": "Energy"} for name in names]
    (folder / "screener.json").write_text(json.dumps({"data": {"rows": found}}))
    (folder / "pipeline.json").write_text(json.dumps(PIPELINE))
    return [
        "symbols", "--config", str(folder / "pipeline.json"), "--listed", str(folder / "listed.txt"),
        "--screener", str(folder / "screener.json"), "--cache", str(folder / "cache.jsonl"),
    ]  # fmt: skip


def test_a_listing_is_printed_kept_and_not_replaced_by_a_shrunken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(files(tmp_path, 100)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 100
    assert json.loads(lines[0]) == {
        "symbol": "S0", "name": "S0 Inc", "market_cap": 2000.0, "sector": "Energy", "tier": "mega",
    }  # fmt: skip

    fewer = files(tmp_path, 50)
    assert main(fewer) == 1
    printed = capsys.readouterr()
    assert "50 symbols, the last one had 100" in printed.err
    assert printed.out.splitlines() == lines, "the last listing"
    assert main([*fewer, "--accept-fewer"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 50


def test_a_file_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = files(tmp_path, 1)
    (tmp_path / "screener.json").unlink()
    assert main(arguments) == 1
    assert "screener.json" in capsys.readouterr().err
