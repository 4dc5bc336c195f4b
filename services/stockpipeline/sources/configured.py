"""The source that a pipeline's configuration asks for."""

from collections.abc import Mapping

from stockpipeline.api import PipelineConfig
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.sources.replay import ReplaySource


class NoReplay(ValueError):
    """The pipeline has a source that is not a replay."""


def replay_source(
    config: PipelineConfig, calendar: SessionCalendar, bars: Mapping[str, BarSeries] | None = None
) -> ReplaySource:
    """Return the replay of the bars (the packaged ones) of all symbols, with their history before its start.

    Raises:
        NoReplay: the source is of another kind.
        UnknownPackagedSymbol: there are no packaged bars of a symbol.
    """
    source = config.spec.sources[0]
    replay = source.replay
    if replay is None:
        raise NoReplay(f"source {source.name} is not a replay, and this version can run no other kind yet")
    return ReplaySource(
        source.name,
        {symbol: packaged_bars(symbol) for symbol in config.spec.universe.symbols} if bars is None else bars,
        calendar,
        replay.start,
        replay.end,
        replay.ticks_per_bar,
        replay.seed,
    )
