"""`stockpipeline history load`: the bars before a replay's start to Redis."""

import sys
import time

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.api import BarInterval, PipelineConfig
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.sources.configured import replay_source

_PATIENCE_SECONDS = 120.0
_RETRY_SECONDS = 1.0


def load(config: PipelineConfig) -> int:
    """Put the history of all symbols into Redis where it differs; return the exit status.

    Waits up to two minutes for Redis, which may start at the same time. A symbol without bars before the
    replay's start gets an empty history, as does every symbol of a pipeline with intraday bars: known to be
    empty is not the same as missing.
    """
    source = replay_source(config, SessionCalendar(config.spec.universe.exchange))
    # The source has daily bars. Intraday ones come from the ticks alone.
    daily = config.spec.bars.interval is BarInterval.DAY
    history = {
        symbol: source.history(symbol) if daily else BarSeries.empty()
        for symbol in config.spec.universe.symbols
    }
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
