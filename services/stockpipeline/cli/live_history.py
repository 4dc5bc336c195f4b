"""The daily bars that live pipelines warm up from: asked of the sources in their order, kept in Redis."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.api import PipelineConfig
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.configured_live import live_sources
from stockpipeline.sources.kis.credentials import NoCredentials
from stockpipeline.sources.live import LiveSource
from stockpipeline.sources.session_kind import SessionKind

_BARS = 300
_PATIENCE_SECONDS = 120.0
_RETRY_SECONDS = 2.0


def load_live(config: PipelineConfig, calendar: SessionCalendar) -> int:
    """Put the closed bars of all symbols into Redis that lack the newest one; return the exit status.

    A symbol that no source has stays without a history, which the detector says; it is asked for again when
    this command runs again.
    """
    symbols = config.spec.universe.symbols
    store = HistoryStore(config.redis_url, config.names)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            kept = store.get_many(symbols)
            newest = calendar.last_closed(int(time.time() * 1000))
            missing = [symbol for symbol in symbols if not _reaches(kept[symbol], newest)]
            sources = live_sources(
                config, symbols, SessionKind(calendar), SourceMetrics(CollectorRegistry(), config.name)
            )
            found, failed = asyncio.run(_ask_all(sources, missing, newest))
            store.put_many(found)
        except (HistoryUnavailable, NoCredentials) as error:
            if time.monotonic() > deadline:
                print(error, file=sys.stderr)
                return 1
            time.sleep(_RETRY_SECONDS)
        else:
            break
    for symbol, why in failed.items():
        print(f"{symbol}: {why}", file=sys.stderr)
    bars = sum(len(series) for series in found.values())
    print(f"{len(found)} of {len(symbols)} symbols loaded ({bars} bars), {len(failed)} failed")
    # Those that failed warm up when they are loaded; the others need not wait for them.
    return 1 if failed and len(failed) == len(symbols) else 0


async def _ask_all(
    sources: Sequence[LiveSource], symbols: Sequence[str], newest: int
) -> tuple[dict[str, BarSeries], Mapping[str, str]]:
    found: dict[str, BarSeries] = {}
    failed: dict[str, str] = {}
    for symbol in symbols:
        why = []
        for source in sources:
            try:
                series = await source.history(symbol, _BARS)
            except Exception as error:  # whatever it is, the next source is asked
                why.append(f"{source.name}: {error}")
                continue
            closed = BarSeries.from_bars(bar for bar in series if bar.session <= newest)
            if len(closed):
                found[symbol] = closed
                break
            why.append(f"{source.name}: no bars")
        else:
            failed[symbol] = "; ".join(why)
    return found, failed


def _reaches(series: BarSeries | None, session: int) -> bool:
    return series is not None and len(series) > 0 and int(series.sessions[-1]) >= session
