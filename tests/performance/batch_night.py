"""A whole night of the batch, from stand-ins for NASDAQ and Yahoo (in a process of their own) to Redis."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from stockpipeline.api import PipelineConfig
from stockpipeline.batch.night import Targets, run_night
from stockpipeline.batch.steps import Night
from stockpipeline.market.bars import BarSeries
from stockpipeline.sources.nasdaq import ListingPlaces
from tests.integration.servers.redis import running_server
from tests.performance.report import Report
from tests.stand_ins.nasdaq import Listing, NasdaqServer
from tests.stand_ins.yahoo import Past, YahooServer


def measure_night(report: Report, folder: Path, universe: Mapping[str, BarSeries]) -> None:
    """Add `night_total`: the first night, which has to bring everything, with its steps in the notes."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    servers = context.Process(target=_serve, args=(theirs, universe), daemon=True)
    servers.start()
    (folder / "redis").mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(servers.join)
        stack.callback(ours.send, "end")
        places, chart_url = ours.recv()
        redis = stack.enter_context(running_server(folder / "redis"))
        config = PipelineConfig.model_validate(
            {
                "namespace": "bench",
                "name": "night",
                "spec": {
                    "universe": {"collect": {}},
                    "sources": [
                        {"name": "yahoo", "yahoo": {"chartUrl": chart_url, "requestsPerSecond": 100}}
                    ],
                    "kafka": {"bootstrapServers": "127.0.0.1:9092"},
                    "redis": {"url": redis.url},
                    "batch": {"historyYears": 5},
                },
            }
        )
        session = int(next(iter(universe.values())).sessions[-1])
        targets = Targets(folder / "master.duckdb", f"file://{folder}/store", folder / "replica")
        steps, began = [], time.perf_counter()
        last = began
        for step, _ in run_night(Night(config, folder / "lake", session), places, targets):
            now = time.perf_counter()
            steps.append(f"{step} {now - last:.1f}")
            last = now
        report.add("night_total", last - began, "s", note=f"{len(universe):,} symbols: {', '.join(steps)}")


class _Pasts(dict[str, Past]):
    """Makes a past when it is asked for: all of them as objects would not fit."""

    def __init__(self, universe: Mapping[str, BarSeries]) -> None:
        self._universe = universe

    def get(self, symbol: str, default: Past | None = None) -> Past | None:  # type: ignore[override]
        bars = self._universe.get(symbol)
        if bars is None:
            return default
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return Past(dict(zip(bars.sessions.tolist(), rows, strict=True)))


def _serve(connection: Connection, universe: Mapping[str, BarSeries]) -> None:
    with NasdaqServer() as nasdaq, YahooServer() as yahoo:
        nasdaq.listings = [Listing(symbol, 1e9) for symbol in universe]
        yahoo.past = _Pasts(universe)
        connection.send((ListingPlaces(nasdaq.directory_url, nasdaq.screener_url), yahoo.chart_url))
        connection.recv()
