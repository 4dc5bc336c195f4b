"""The replay of files: against an independent computation, and against each other."""

import json
import math
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import pytest
import yaml

from stockpipeline.cli import main
from stockpipeline.cli.progress import ProgressBar
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_date, session_iso
from stockpipeline.market.ticks import Tick, encode_tick
from stockpipeline.sources.replay import ReplaySource
from tests.oracle import Ohlcv, expected_signals, values_of

SYMBOLS = ("AAPL", "MSFT")
START, END = "2008-09-15", "2008-10-10"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    source = {"name": "replay", "replay": {"start": START, "end": END, "ticksPerBar": 10}}
    resource = {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": "demo"},
        "spec": {"universe": {"symbols": list(SYMBOLS)}, "sources": [source]},
    }
    file = tmp_path / "demo.yaml"
    file.write_text(yaml.safe_dump(resource))
    return file


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "bars.csv", {symbol: packaged_bars(symbol) for symbol in SYMBOLS})


def write_bars(path: Path, series: dict[str, BarSeries], extra: Iterable[str] = ()) -> Path:
    rows = ["symbol,date,open,high,low,close,volume"]
    rows += [
        f"{symbol},{session_iso(b.session)},{b.open!r},{b.high!r},{b.low!r},{b.close!r},{b.volume!r}"
        for symbol, bars in series.items()
        for b in bars
    ]
    path.write_text("\n".join([*rows, *extra]) + "\n")
    return path


@pytest.fixture
def ticks(calendar: SessionCalendar) -> list[Tick]:
    source = ReplaySource(
        "replay", {symbol: packaged_bars(symbol) for symbol in SYMBOLS}, calendar,
        date.fromisoformat(START), date.fromisoformat(END), 10,
    )  # fmt: skip
    return list(source.ticks({}))


def write_ticks(path: Path, lines: Iterable[Tick | bytes]) -> Path:
    path.write_bytes(b"".join((encode_tick(t) if isinstance(t, Tick) else t) + b"\n" for t in lines))
    return path


def run(pipeline: Path, *arguments: object) -> int:
    return main(["replay", "--pipeline", str(pipeline), *(str(argument) for argument in arguments)])


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def oracle_history() -> dict[str, list[Ohlcv]]:
    return {
        symbol: [
            Ohlcv(session_date(b.session), b.open, b.high, b.low, b.close, b.volume)
            for b in packaged_bars(symbol).before(date.fromisoformat(START))
        ]
        for symbol in SYMBOLS
    }


def test_recorded_ticks_give_what_an_independent_computation_says(
    tmp_path: Path, pipeline: Path, bars: Path, ticks: list[Tick], capsys: pytest.CaptureFixture[str]
) -> None:
    signals, indicators = tmp_path / "signals.jsonl", tmp_path / "indicators.jsonl"
    recorded = write_ticks(tmp_path / "ticks.jsonl", ticks)
    arguments = ("--bars", bars, "--ticks", recorded, "--signals", signals, "--indicators", indicators)
    assert run(pipeline, *arguments) == 0

    expected = expected_signals("default/demo", oracle_history(), (msgspec.to_builtins(t) for t in ticks))
    found = read(signals)
    assert len(found) > 10
    assert {signal.pop("confidence") for signal in found} == {1.0}
    assert found == expected

    lines = read(indicators)
    assert [(line["symbol"], line["ts"]) for line in lines] == [(tick.symbol, tick.ts) for tick in ticks]
    # The last tick of a session leaves the forming bar as that day's bar, which TA-Lib computes in batch.
    last_of_day = [line for line in lines if line["symbol"] == "AAPL"][9::10]
    closed = oracle_history()["AAPL"]
    played = packaged_bars("AAPL").since(date.fromisoformat(START)).until(date.fromisoformat(END))
    for line, b in zip(last_of_day, played, strict=True):
        closed.append(Ohlcv(session_date(b.session), b.open, b.high, b.low, b.close, b.volume))
        now, _ = values_of(closed)
        assert line["values"] == {name: now[name] for name in line["values"]}
        assert set(line["values"]) == set(line["ready"]) == set(now) - set(Ohlcv._fields)
        assert all(line["ready"].values())

    summary = capsys.readouterr().out
    assert f"{len(ticks)} ticks of 2 symbols from 2008-09-15 13:30:00Z" in summary
    assert f"{len(found)} signals" in summary
    assert "rsi-oversold" in summary


def test_bars_played_as_ticks_give_the_same_as_the_ticks_recorded(
    tmp_path: Path, pipeline: Path, bars: Path, ticks: list[Tick], capfd: pytest.CaptureFixture[str]
) -> None:
    recorded = write_ticks(tmp_path / "ticks.jsonl", ticks)
    assert run(pipeline, "--bars", bars, "--ticks", recorded) == 0
    first = capfd.readouterr().out
    assert run(pipeline, "--bars", bars, "--bars-as-ticks") == 0
    played = capfd.readouterr().out
    assert run(pipeline) == 0
    packaged = capfd.readouterr().out
    assert first == played == packaged
    assert len(first.splitlines()) > 10


def test_bars_of_a_pipeline_of_live_sources_are_played_after_250_sessions(
    tmp_path: Path, pipeline: Path, bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = yaml.safe_load(pipeline.read_text())
    resource["spec"]["sources"] = [{"name": "yahoo", "yahoo": {}}]
    pipeline.write_text(yaml.safe_dump(resource))
    few = {symbol: packaged_bars(symbol)[:260] for symbol in SYMBOLS}
    file, signals = write_bars(tmp_path / "few.csv", few), tmp_path / "signals.jsonl"
    assert run(pipeline, "--bars", file, "--bars-as-ticks", "--signals", signals) == 0
    first = session_iso(few["AAPL"].bar(250).session)
    assert f"2,000 ticks of 2 symbols from {first} " in capsys.readouterr().out
    assert {signal["source"] for signal in read(signals)} == {"yahoo"}
    short = write_bars(tmp_path / "short.csv", {symbol: bars[:250] for symbol, bars in few.items()})
    assert run(pipeline, "--bars", short, "--bars-as-ticks", "--signals", signals) == 0
    assert "no bar is played: the first 250 sessions are history" in capsys.readouterr().out


def test_what_is_not_known_is_null_and_not_ready(tmp_path: Path, pipeline: Path, ticks: list[Tick]) -> None:
    history = {s: packaged_bars(s).before(date.fromisoformat(START)).last(30) for s in SYMBOLS}
    bars = write_bars(tmp_path / "short.csv", history)
    indicators = tmp_path / "indicators.jsonl"
    recorded = write_ticks(tmp_path / "ticks.jsonl", ticks[:1])
    files = ("--signals", tmp_path / "s.jsonl", "--indicators", indicators)
    assert run(pipeline, "--bars", bars, "--ticks", recorded, *files) == 0
    (line,) = read(indicators)
    # With 30 bars MACD's signal line has no value, RSI one that is not to be trusted, the bands are exact.
    assert line["values"]["macd_signal"] is None
    assert math.isfinite(line["values"]["rsi14"])
    assert line["ready"] == {
        "rsi14": False, "macd": False, "macd_signal": False, "macd_hist": False,
        "bb_upper": True, "bb_middle": True, "bb_lower": True,
    }  # fmt: skip


def test_bad_ticks_are_counted_with_their_reason_and_change_nothing(
    tmp_path: Path, pipeline: Path, bars: Path, ticks: list[Tick], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(pipeline, "--bars", bars, "--ticks", write_ticks(tmp_path / "good.jsonl", ticks)) == 0
    wanted = capfd.readouterr().out
    half = len(ticks) // 2
    bad = [
        b"{",
        b'{"symbol":"AAPL"}',
        encode_tick(ticks[0]).replace(b"AAPL", b"TSLA").replace(b"MSFT", b"TSLA"),
    ]
    mixed = [*bad, *ticks[:half], ticks[half - 1], ticks[0], *bad[:1], *ticks[half:]]
    file = write_ticks(tmp_path / "mixed.jsonl", mixed)
    assert run(pipeline, "--bars", bars, "--ticks", file) == 0
    out, told = capfd.readouterr()
    assert out == wanted
    reasons = told.partition("6 ticks were refused: ")[2].partition("\n")[0]
    assert set(reasons.split(", ")) == {
        "2 bad-json", "1 bad-fields", "1 unknown-symbol", "1 duplicate", "1 late",
    }  # fmt: skip
    assert f"{file}, line 2: bad-fields: not a tick: Object missing required field" in told


def test_history_ends_before_the_first_tick(
    tmp_path: Path, pipeline: Path, bars: Path, ticks: list[Tick], capfd: pytest.CaptureFixture[str]
) -> None:
    """A file of bars that goes on past the first tick does not let the future in."""
    recorded = write_ticks(tmp_path / "ticks.jsonl", ticks)
    assert run(pipeline, "--bars", bars, "--ticks", recorded) == 0
    out, told = capfd.readouterr()
    before = {s: packaged_bars(s).before(date.fromisoformat(START)) for s in SYMBOLS}
    later = sum(len(packaged_bars(s)) - len(before[s]) for s in SYMBOLS)
    assert f"{later} bars are of the first tick's session of their symbol or later" in told
    assert run(pipeline, "--bars", write_bars(tmp_path / "before.csv", before), "--ticks", recorded) == 0
    assert capfd.readouterr().out == out


def test_raw_bars_with_splits_give_the_signals_of_adjusted_ones(
    tmp_path: Path, pipeline: Path, ticks: list[Tick], capfd: pytest.CaptureFixture[str]
) -> None:
    recorded = write_ticks(tmp_path / "ticks.jsonl", ticks)
    rows = ["symbol,date,open,high,low,close,volume,split"]
    for symbol in SYMBOLS:
        for b in packaged_bars(symbol).before(date.fromisoformat(START)):
            day = session_iso(b.session)
            old = 2.0 if day < "2008-06-02" else 1.0
            split = "2" if day == "2008-06-02" else ""
            prices = ",".join(repr(price * old) for price in (b.open, b.high, b.low, b.close))
            rows.append(f"{symbol},{day},{prices},{b.volume / old!r},{split}")
    raw = tmp_path / "raw.csv"
    raw.write_text("\n".join(rows) + "\n")
    assert run(pipeline, "--bars", raw, "--ticks", recorded) == 0
    found = capfd.readouterr().out
    assert run(pipeline) == 0
    assert found == capfd.readouterr().out


def test_performance_is_what_anyone_can_work_out_from_the_ticks(
    tmp_path: Path, pipeline: Path, ticks: list[Tick], capsys: pytest.CaptureFixture[str]
) -> None:
    resource = yaml.safe_load(pipeline.read_text())
    costs = {"commissionBps": 1, "slippageBps": 4}
    resource["spec"]["performance"] = {"horizons": ["2h"], "costs": costs, "benchmark": "MSFT"}
    pipeline.write_text(yaml.safe_dump(resource))
    signals, performance = tmp_path / "signals.jsonl", tmp_path / "performance.json"
    assert run(pipeline, "--signals", signals, "--performance", performance) == 0
    report = json.loads(performance.read_text())
    by_symbol = {symbol: [tick for tick in ticks if tick.symbol == symbol] for symbol in SYMBOLS}
    made = sorted(read(signals), key=lambda one: (one["ts"], one["symbol"], one["rule"]))
    assert [record["id"] for record in report["signals"]] == [signal["id"] for signal in made]
    nets: dict[str, list[float]] = {}
    for signal, record in zip(made, report["signals"], strict=True):
        later = [tick for tick in by_symbol[signal["symbol"]] if tick.ts > signal["ts"]]
        entry = later[0]
        assert record["entry"] == {"ts": entry.ts, "price": entry.price}
        # Ten ticks in a session of 6.5 hours; two hours on, or what is left of them in the next session.
        left = entry.ts + 7_200_000
        closes = max(tick.ts for tick in ticks if tick.ts // 86_400_000 == entry.ts // 86_400_000)
        if left > closes:
            opens = min((tick.ts for tick in ticks if tick.ts > closes), default=None)
            if opens is None:
                assert (record["status"], record["horizons"]) == ("open", {"2h": None})
                continue
            left = opens + left - closes
        way = [tick for tick in later if tick.ts < left]
        way.append(next(tick for tick in later if tick.ts >= left))
        sign = 1 if signal["side"] == "buy" else -1
        returns = [sign * (tick.price / entry.price - 1) for tick in way]
        market = [next(t.price for t in by_symbol["MSFT"] if t.ts >= at.ts) for at in (entry, way[-1])]
        result = record["horizons"]["2h"]
        assert (result["due"], result["exit"]["ts"]) == (left, way[-1].ts)
        assert result["return"] == pytest.approx(returns[-1])
        assert result["net_return"] == pytest.approx(returns[-1] - 0.0005 * (1 + way[-1].price / entry.price))
        assert (result["mfe"], result["mae"]) == (pytest.approx(max(returns)), pytest.approx(min(returns)))
        assert result["excess"] == pytest.approx(returns[-1] - sign * (market[1] / market[0] - 1), abs=1e-12)
        nets.setdefault(signal["rule"], []).append(result["net_return"])
    assert sum(map(len, nets.values())) > 10
    whole = {
        one["rule"]: one
        for one in report["aggregates"]
        if one["symbol"] is None and one["confidence"] is None
    }
    assert whole.keys() == nets.keys()
    for rule, values in nets.items():
        assert (whole[rule]["n"], whole[rule]["mean"]) == (len(values), pytest.approx(fmean(values)))
        assert whole[rule]["hit_rate"] == sum(value > 0 for value in values) / len(values)
    told = capsys.readouterr().out
    assert "Returns net of 0.05% each way, excess over MSFT before costs:" in told
    assert "PROFIT FACTOR" in told


def test_without_signals_there_is_no_performance(
    tmp_path: Path, pipeline: Path, ticks: list[Tick], capsys: pytest.CaptureFixture[str]
) -> None:
    resource = yaml.safe_load(pipeline.read_text())
    resource["spec"]["rules"] = [{"name": "never", "side": "buy", "when": "close < 0"}]
    pipeline.write_text(yaml.safe_dump(resource))
    performance = tmp_path / "performance.json"
    assert run(pipeline, "--signals", tmp_path / "s.jsonl", "--performance", performance) == 0
    report = json.loads(performance.read_text())
    assert (report["aggregates"], report["signals"]) == ([], [])
    assert report["horizons"] == ["1h", "1d", "5d"]
    assert capsys.readouterr().out.endswith("no signals\n\nno signal has reached a horizon\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--performance", "none/p.json"], "none/p.json: cannot be written"),
        (["--ticks", "t.jsonl"], "--ticks needs --bars"),
        (["--bars", "b.csv"], "--bars needs --ticks FILE, or --bars-as-ticks"),
        (["--bars", "none.csv", "--bars-as-ticks"], "none.csv: No such file or directory"),
        (["--signals", "none/s.jsonl"], "none/s.jsonl: cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    pipeline: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(pipeline, *arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_bars_of_a_day_without_trade_cannot_be_played(
    tmp_path: Path, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["AAPL,2008-09-20,1,1,1,1,1"]
    file = write_bars(tmp_path / "bars.csv", {}, rows)
    assert run(pipeline, "--bars", file, "--bars-as-ticks") == 2
    assert "XNAS has no session on 2008-09-20" in capsys.readouterr().err


class Terminal:
    """A stream that says it is one."""

    def __init__(self, terminal: bool) -> None:
        self.text = ""
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    seconds = iter(range(100_000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))
    stream = Terminal(terminal)
    bar = ProgressBar(1024, "ticks", stream)  # type: ignore[arg-type]
    for _ in range(512):
        bar.advance(1)
        bar.count()
    bar.clear()
    if terminal:
        assert " 50%  512 ticks" in stream.text
        assert stream.text.endswith("\r\x1b[K")
    else:
        assert stream.text == ""
