"""The source that a pipeline's configuration asks for."""

from stockpipeline.api import PipelineConfig
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.sources.replay import ReplaySource


def replay_source(config: PipelineConfig, calendar: SessionCalendar) -> ReplaySource:
    """Return the replay of the packaged bars of all symbols, with their history before its start.

    Raises:
        UnknownPackagedSymbol: there are no packaged bars of a symbol.
    """
    (source,) = config.spec.sources
    replay = source.replay
    assert replay is not None
    return ReplaySource(
        source.name,
        {symbol: packaged_bars(symbol) for symbol in config.spec.universe.symbols},
        calendar,
        replay.start,
        replay.end,
        replay.ticks_per_bar,
        replay.seed,
    )
