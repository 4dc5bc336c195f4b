"""`stockpipeline history load`: the bars before a replay's start, or those of live sources, to Redis."""

import sys
import time

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.api import BarInterval, PipelineConfig
from stockpipeline.cli.live_history import load_live
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.sources.configured import replay_source
from stockpipeline.sources.configured_live import is_live

_PATIENCE_SECONDS = 120.0
_RETRY_SECONDS = 1.0


def load(config: PipelineConfig) -> int:
    """Put the history of all symbols into Redis where it differs; return the exit status.

    Waits up to two minutes for Redis, which may start at the same time. A symbol without bars before the
    replay's start gets an empty history, as does every symbol of a pipeline with intraday bars: known to be
    empty is not the same as missing.
    """
    symbols = config.spec.universe.symbols
    calendar = SessionCalendar(config.spec.universe.exchange)
    if config.spec.bars.interval is not BarInterval.DAY:
        # Sources have daily bars. Intraday ones come from the ticks alone.
        history = {symbol: BarSeries.empty() for symbol in symbols}
    elif is_live(config):
        return load_live(config, calendar)
    else:
        source = replay_source(config, calendar)
        history = {symbol: source.history(symbol) for symbol in symbols}
    store = HistoryStore(config.redis_url, config.names)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            changed = store.differing(history)
            store.put_many(changed)
        except HistoryUnavailable as error:
            if time.monotonic() > deadline:
                print(error, file=sys.stderr)
                return 1
            time.sleep(_RETRY_SECONDS)
        else:
            break
    bars = sum(len(series) for series in changed.values())
    print(f"{len(changed)} of {len(history)} symbols loaded ({bars} bars), the others were up to date")
    return 0
