"""The source that a pipeline's configuration asks for."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from stockpipeline.api import PipelineConfig
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_date
from stockpipeline.sources.replay import ReplaySource


class NoReplay(ValueError):
    """The pipeline has a source that is not a replay."""


WARM_UP_SESSIONS = 250
"""Where no replay says from when on to play: enough for indicators to forget where history begins."""


def replay_source(
    config: PipelineConfig, calendar: SessionCalendar, symbols: Collection[str] | None = None
) -> ReplaySource:
    """Return the replay of the packaged bars of some symbols (None: all), with their history before its
    start.

    Raises:
        NoReplay: the source is of another kind.
        UnknownPackagedSymbol: there are no packaged bars of a symbol.
    """
    source = config.spec.sources[0]
    replay = source.replay
    if replay is None:
        raise NoReplay(f"source {source.name} is not a replay")
    bars = {
        symbol: packaged_bars(symbol)
        for symbol in config.spec.universe.symbols
        if symbols is None or symbol in symbols
    }
    return ReplaySource(
        source.name,
        bars,
        calendar,
        replay.start,
        replay.end,
        replay.ticks_per_bar,
        replay.seed,
        replay.loop,
    )


def played(config: PipelineConfig, calendar: SessionCalendar, bars: Mapping[str, BarSeries]) -> ReplaySource:
    """Return a replay of other bars, as the pipeline's own replay would play them.

    A pipeline of live sources says nothing about that: all sessions after the first 250 are played. They are
    played once, also where the pipeline says that it loops.
    """
    source = config.spec.sources[0]
    replay = source.replay
    if replay is None:
        return ReplaySource(source.name, bars, calendar, _after_warm_up(bars.values()))
    return ReplaySource(
        source.name, bars, calendar, replay.start, replay.end, replay.ticks_per_bar, replay.seed
    )


def _after_warm_up(series: Iterable[BarSeries]) -> date:
    sessions = sorted({session for one in series for session in one.sessions.tolist()})
    if len(sessions) <= WARM_UP_SESSIONS:
        return date.max
    return session_date(sessions[WARM_UP_SESSIONS])
