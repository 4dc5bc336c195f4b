"""A recorded session, played again."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.producer.recorder import Recorder
from stockpipeline.sources.files import BadFile
from stockpipeline.sources.recorded import RecordedSource

OPEN = 1735311600000


def live(symbol: str, price: float, ts: int) -> Tick:
    return Tick(symbol, price, 5.0, ts, "kis", MarketSession.REGULAR, None, price - 0.01, price + 0.01)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "ticks.jsonl"
    with Recorder(path) as recorder:
        for number, symbol in enumerate(["AAPL", "MSFT", "AAPL", "FB", "AAPL"]):
            recorder.record(live(symbol, 100.0 + number, OPEN + number))
    return path


def test_what_was_recorded_is_played_in_order_and_numbered(recording: Path) -> None:
    played = list(RecordedSource("replay", recording, ["AAPL", "MSFT"]).ticks({}))
    assert [(tick.symbol, tick.seq, tick.price, tick.ts) for tick in played] == [
        ("AAPL", 1, 100.0, OPEN),
        ("MSFT", 1, 101.0, OPEN + 1),
        ("AAPL", 2, 102.0, OPEN + 2),
        ("AAPL", 3, 104.0, OPEN + 4),
    ]
    assert {(tick.source, tick.bid is not None) for tick in played} == {("replay", True)}


def test_it_goes_on_after_any_number_without_gap_or_duplicate(recording: Path) -> None:
    source = RecordedSource("replay", recording, ["AAPL", "MSFT"])
    whole = list(source.ticks({}))
    for apple, microsoft in itertools.product(range(4), range(2)):
        after = {"AAPL": apple, "MSFT": microsoft}
        rest = [tick for tick in whole if (tick.seq or 0) > after[tick.symbol]]
        assert list(source.ticks(after)) == rest


def test_lines_that_are_no_ticks_are_passed_by(recording: Path) -> None:
    with recording.open("ab") as file:
        file.write(b"half a li\n")
    with Recorder(recording) as recorder:
        recorder.record(live("MSFT", 7.0, OPEN + 9))
    played = list(RecordedSource("replay", recording, ["MSFT"]).ticks({}))
    assert [tick.price for tick in played] == [101.0, 7.0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"missing\.jsonl"):
        list(RecordedSource("replay", tmp_path / "missing.jsonl", ["AAPL"]).ticks({}))
