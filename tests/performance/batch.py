"""`make bench-batch`: the nightly batch's computation and the sync of Redis, against pandas per symbol.

    pandas_per_symbol  the replaced way: a file a symbol, read, computed and written with pandas;
                       extrapolated from a sample of symbols
    local_pass_5m      all indicators of 4,000 symbols x 5 years, from Parquet to Parquet
    local_5m           the same by `stockpipeline batch compute`, from its start to its end
    spark_5m           the same by Spark in pods of a cluster of the benchmark's own: from the request to the
                       end of the Job, with a driver and two executors
    spark_warm_pass_5m a pass by Spark whose session is up
    local_20m          the command for 16,000 symbols
    spark_20m          the same by Spark in pods
    redis_full_4000    from the store's bars to an empty Redis: 4,000 symbols, 250 bars each
    redis_noop_4000    once more, when nothing has changed
    redis_delta_4000   once more, after one more session
    night_total        a whole first night from stand-ins for NASDAQ and Yahoo to Redis

Symbols are put together from days of real stocks (see universe.py). Seconds of wall time, the best of some
runs where a run can be repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from cluster.progress import Progress
from cluster.spark_local import PIPELINE
from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import DEFAULT_INDICATORS, PipelineNames
from stockpipeline.batch.compute import compute_all
from stockpipeline.batch.histories import HISTORY_BARS, histories
from stockpipeline.batch.lake import Lake, bars_table
from stockpipeline.batch.load import BASIS
from stockpipeline.batch.redis_sync import sync
from stockpipeline.batch.watchlist import batch_indicators
from stockpipeline.market.bars import BarSeries
from stockpipeline.store.writer import Writer
from tests.integration.servers.redis import running_server
from tests.performance.batch_night import measure_night
from tests.performance.batch_pods import spark_pods
from tests.performance.report import REPO, Report
from tests.performance.universe import five_years, make_universe, write_universe

_PROGRESS = Progress(sys.stderr)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the symbols")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="only these; the default is the contract")
    chosen = parser.parse_args()
    report = Report("batch", quick=chosen.quick, parts=chosen.parts is not None)
    symbols = 200 if chosen.quick else 4000
    build = REPO / "build"
    build.mkdir(exist_ok=True)
    for name in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory(dir=build, prefix=f"bench-batch-{name}-") as folder:
            PARTS[name](report, Path(folder), symbols)
    report.finish()


def _engines(report: Report, folder: Path, symbols: int) -> None:
    universe = make_universe(symbols, five_years())
    _pandas(report, folder / "pandas", universe)
    _local(report, folder / "lake", universe)
    del universe
    with spark_pods(_PROGRESS) as spark:
        spark.measure(report, "5m", folder / "lake", warm=True)


def _large(report: Report, folder: Path, symbols: int) -> None:
    lake = folder / "large"
    write_universe(Lake(lake), make_universe(4 * symbols, five_years(), seed=2))
    report.add("local_20m", _best(1, lambda: _process(lake)), "s", note=f"{4 * symbols:,} symbols")
    with spark_pods(_PROGRESS) as spark:
        spark.measure(report, "20m", lake, warm=False)


def _pandas(report: Report, folder: Path, universe: dict[str, BarSeries]) -> None:
    folder.mkdir()
    sample = list(universe)[: len(universe) // 40]
    for symbol in sample:
        bars_table({symbol: universe[symbol]}).to_pandas().to_csv(folder / f"{symbol}.csv", index=False)

    def run() -> None:
        for symbol in sample:
            frame = pd.read_csv(folder / f"{symbol}.csv", parse_dates=["session"])
            _with_indicators(frame).to_csv(folder / f"{symbol}.out.csv", index=False)

    seconds = _best(2, run) * len(universe) / len(sample)
    report.add("pandas_per_symbol", seconds, "s", note=f"extrapolated from {len(sample)} symbols")


def _with_indicators(frame: pd.DataFrame) -> pd.DataFrame:
    """What the batch computes by default, as people write it with pandas."""
    close = frame["close"]
    change = close.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, min_periods=14, adjust=False).mean()
    loss = (-change.clip(upper=0)).ewm(alpha=1 / 14, min_periods=14, adjust=False).mean()
    frame["rsi14"] = 100 - 100 / (1 + gain / loss)
    frame["macd"] = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    frame["macd_signal"] = frame["macd"].ewm(span=9, adjust=False).mean()
    frame["macd_hist"] = frame["macd"] - frame["macd_signal"]
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    frame["bb_upper"], frame["bb_middle"], frame["bb_lower"] = (
        mean + 2 * deviation,
        mean,
        mean - 2 * deviation,
    )
    frame["rvol20"] = frame["volume"] / frame["volume"].rolling(20).mean()
    return frame


def _local(report: Report, folder: Path, universe: dict[str, BarSeries]) -> None:
    lake = Lake(folder)
    write_universe(lake, universe)
    rows = sum(len(series) for series in universe.values())
    seconds = _best(3, lambda: compute_all(lake, batch_indicators(DEFAULT_INDICATORS), anew=True))
    report.add("local_pass_5m", seconds, "s", baseline="pandas_per_symbol", note=f"{rows:,} rows")
    seconds = _best(3, lambda: _process(folder))
    report.add("local_5m", seconds, "s", baseline="pandas_per_symbol", note="a process, start to end")


def _process(folder: Path) -> None:
    config = folder / "pipeline.json"
    config.write_text(json.dumps(PIPELINE))
    words = ["--config", str(config), "--lake", str(folder), "--engine", "local", "--anew"]
    # With compiled modules, as images have them, whatever this process was told.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, "-m", "stockpipeline.cli", "batch", "compute", *words],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _redis(report: Report, folder: Path, symbols: int) -> None:
    universe = make_universe(symbols, five_years())
    master = folder / "master.duckdb"
    newest = int(next(iter(universe.values())).sessions[-1])
    before = int(next(iter(universe.values())).sessions[-2])
    with Writer(master) as writer, writer.transaction("bars") as load:
        table = bars_table({symbol: bars.last(HISTORY_BARS + 30) for symbol, bars in universe.items()})
        load.load("bars", table.append_column("basis", pa.array([BASIS] * table.num_rows)))
    (folder / "redis").mkdir()
    with (
        running_server(folder / "redis") as server,
        closing(duckdb.connect(str(master), read_only=True)) as database,
        closing(HistoryStore(server.url, PipelineNames("bench", "batch"))) as store,
    ):

        def query(sql: str, parameters: Sequence[Any]) -> pa.Table:
            return database.execute(sql, parameters).to_arrow_table()

        def run(session: int, written: int) -> float:
            started = time.perf_counter()
            done = sync(store, histories(query, session))
            seconds = time.perf_counter() - started
            if done.written != written:
                raise AssertionError(f"{done.written} symbols were written, expected {written}")
            return seconds

        count = len(universe)
        report.add("redis_full_4000", run(before, count), "s", note=f"{count:,} symbols, {HISTORY_BARS} bars")
        report.add("redis_noop_4000", min(run(before, 0) for _ in range(3)), "s", baseline="redis_full_4000")
        report.add("redis_delta_4000", run(newest, count), "s", baseline="redis_full_4000")


def _night(report: Report, folder: Path, symbols: int) -> None:
    measure_night(report, folder, make_universe(symbols, five_years()))


def _best(times: int, run: Callable[[], object]) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


PARTS: dict[str, Callable[[Report, Path, int], None]] = {
    "engines": _engines,
    "redis": _redis,
    "night": _night,
    "large": _large,
}


if __name__ == "__main__":
    main()
