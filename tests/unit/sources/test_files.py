from pathlib import Path

import pytest

from stockpipeline.market.bars import Bar
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.sessions import session_iso
from stockpipeline.sources.files import BadFile, BadLine, read_bars, read_ticks

HEADER = "symbol,date,open,high,low,close,volume"
ROW = "IBM,2013-01-02,10,12,9,11,1000"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_bars_are_sorted_by_symbol_and_day(tmp_path: Path) -> None:
    file = write(
        tmp_path / "bars.csv", HEADER,
        "IBM,2013-01-03,11,13,10,12,2000", "MSFT,2013-01-02,20,20,20,20,0", ROW, "", "XYZ,2013-01-02,?,,,,",
    )  # fmt: skip
    found = read_bars(file, ["IBM", "MSFT", "GOOG"])
    ibm = list(found.series["IBM"])
    assert [session_iso(bar.session) for bar in ibm] == ["2013-01-02", "2013-01-03"]
    assert ibm[0] == Bar(ibm[0].session, 10, 12, 9, 11, 1000)
    assert [len(found.series[symbol]) for symbol in ("MSFT", "GOOG")] == [1, 0]
    assert found.others == {"XYZ": 1}
    assert found.actions == {"IBM": (), "MSFT": (), "GOOG": ()}


def test_columns_may_come_in_any_order_with_splits_and_dividends(tmp_path: Path) -> None:
    file = write(
        tmp_path / "bars.csv",
        "\ufeffdate,symbol,Close,open,high,low,volume,dividend,split,note",
        "2013-01-02,IBM,11,10,12,9,1000,,,x",
        "2013-01-03,IBM,5.5,5,6,4.5,2000,0,2,",
        "2013-01-04,IBM,5.5,5,6,4.5,2000,0.25,1.0,",
        "2013-01-07,IBM,5.5,5,6,4.5,2000,0.0,0,",
    )
    found = read_bars(file, ["IBM"])
    second, third = found.series["IBM"].sessions.tolist()[1:3]
    assert found.actions["IBM"] == (CorporateAction(second, 2.0, 0.0), CorporateAction(third, 1.0, 0.25))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["symbol,date,open,close"], "line 1: the columns high, low, volume are missing; a file of bars"),
        ([], "line 1: the columns symbol, date"),
        ([HEADER, ROW, "IBM,2013-01-03,10,12,9"], "line 3: 5 cells, the header has 7"),
        ([HEADER, "IBM,02.01.2013,10,12,9,11,1"], 'line 2: date = "02.01.2013": not a date; write it as'),
        ([HEADER, ROW, ROW], 'line 3: date = "2013-01-02": IBM has a bar of this day already'),
        ([HEADER, "IBM,2013-01-02,10,12,9,eleven,1"], 'line 2: close = "eleven": not a number'),
        ([HEADER, "IBM,2013-01-02,10,12,9,nan,1"], 'line 2: close = "nan": a price must be more than 0'),
        ([HEADER, "IBM,2013-01-02,0,12,9,11,1"], 'line 2: open = "0": a price must be more than 0'),
        ([HEADER, "IBM,2013-01-02,10,inf,9,11,1"], 'line 2: high = "inf": a price must'),
        ([HEADER, "IBM,2013-01-02,10,10.5,9,11,1"], 'line 2: high = "10.5": below open 10.0 or close 11.0'),
        ([HEADER, "IBM,2013-01-02,10,12,10.5,11,1"], 'line 2: low = "10.5": above open 10.0 or close 11.0'),
        ([HEADER, "IBM,2013-01-02,10,12,9,11,-1"], 'line 2: volume = "-1": a volume must be 0 or more'),
        ([HEADER + ",split", ROW + ",-2"], 'line 2: split = "-2": a split must be 0'),
    ],
)
def test_a_mistake_is_named_with_file_line_and_value(tmp_path: Path, lines: list[str], said: str) -> None:
    file = write(tmp_path / "bars.csv", *lines)
    with pytest.raises(BadFile) as raised:
        read_bars(file, ["IBM"])
    assert str(raised.value).startswith(f"{file}, {said}")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"none\.csv: No such file"):
        read_bars(tmp_path / "none.csv", ["IBM"])
    with pytest.raises(BadFile, match=r"none\.jsonl: No such file"):
        list(read_ticks(tmp_path / "none.jsonl", print, print))
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\n\xe9")
    with pytest.raises(BadFile, match="not UTF-8"):
        read_bars(tmp_path / "latin.csv", ["IBM"])


def test_lines_that_are_no_ticks_are_told_and_passed_over(tmp_path: Path) -> None:
    good = '{"symbol":"IBM","price":1.5,"volume":1,"ts":1357137000000,"source":"x","session":"regular"}'
    file = write(tmp_path / "ticks.jsonl", good, "", "{", good.replace("1.5", "-1"), good)
    refused: list[BadLine] = []
    read: list[int] = []
    ticks = list(read_ticks(file, refused.append, read.append))
    assert [tick.price for tick in ticks] == [1.5, 1.5]
    assert [(line.number, line.reason) for line in refused] == [(3, "bad-json"), (4, "bad-price")]
    assert sum(read) == file.stat().st_size
