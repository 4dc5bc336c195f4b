"""What a replay is fed with: recorded ticks, or bars that are played as ticks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stockpipeline.api import PipelineConfig
from stockpipeline.cli.progress import ProgressBar
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar, UnknownSession
from stockpipeline.market.corporate_actions import CorporateAction, ImpossibleAction, adjusted
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import Tick
from stockpipeline.sources.configured import WARM_UP_SESSIONS, NoReplay, played
from stockpipeline.sources.files import BadFile, BadLine, read_bars, read_ticks

_SHOWN_LINES = 5


class ReplayInput(Protocol):
    """Bars, and ticks after them."""

    bars: Mapping[str, BarSeries]
    actions: Mapping[str, tuple[CorporateAction, ...]]
    """Splits and dividends that the bars are not adjusted for."""
    notes: list[str]
    """What a user should know about the input, as sentences."""
    refused: Counter[str]
    """Lines that were no ticks, by reason."""
    total: int
    """How much there is to do, in what ``ticks`` tells the bar of."""

    def ticks(self, bar: ProgressBar) -> Iterator[Tick]:
        """Yield the ticks."""


@dataclass
class RecordedTicks:
    """Ticks from a file, with the history from another one."""

    path: Path
    bars: Mapping[str, BarSeries]
    actions: Mapping[str, tuple[CorporateAction, ...]]
    notes: list[str]
    total: int
    refused: Counter[str] = field(default_factory=Counter)

    def ticks(self, bar: ProgressBar) -> Iterator[Tick]:
        """Yield the ticks; the bar is told of bytes."""
        return read_ticks(self.path, self._refuse, bar.advance)

    def _refuse(self, line: BadLine) -> None:
        self.refused[line.reason] += 1
        if self.refused.total() <= _SHOWN_LINES:
            self.notes.append(f"{self.path}, line {line.number}: {line.reason}: {line.message}")
        elif self.refused.total() == _SHOWN_LINES + 1:
            self.notes.append(f"{self.path}: further lines that are no ticks are only counted")


@dataclass
class PlayedBars:
    """Bars, those from the pipeline's start on as ticks: what its own replay source would send."""

    config: PipelineConfig
    bars: Mapping[str, BarSeries]
    calendar: SessionCalendar
    notes: list[str]

    def __post_init__(self) -> None:
        self.actions: Mapping[str, tuple[CorporateAction, ...]] = {}
        self.refused: Counter[str] = Counter()
        self._source = played(self.config, self.calendar, self.bars)
        self.total = sum(self._source.last_number(symbol) for symbol in self.bars)
        if not self.total:
            self.notes.append(
                "no bar is played: none is as late as the replay's start"
                if self.config.spec.sources[0].replay is not None
                else f"no bar is played: the first {WARM_UP_SESSIONS} sessions are history"
            )

    def ticks(self, bar: ProgressBar) -> Iterator[Tick]:
        """Yield the ticks; the bar is told of each.

        Raises:
            BadFile: a bar is of a day on which the exchange is closed.
        """
        try:
            for tick in self._source.ticks({}):
                bar.advance(1)
                yield tick
        except UnknownSession as error:
            raise BadFile(f"a bar cannot be played: {error}") from None


def packaged(config: PipelineConfig, calendar: SessionCalendar) -> PlayedBars:
    """Return the bars that ship with the product, played as the pipeline's replay says.

    Raises:
        NoReplay: the pipeline's source is of another kind.
        UnknownPackagedSymbol: there are no packaged bars of a symbol.
    """
    source = config.spec.sources[0]
    if source.replay is None:
        raise NoReplay(f"source {source.name} is not a replay: name a file of bars with --bars")
    return PlayedBars(config, {s: packaged_bars(s) for s in config.spec.universe.symbols}, calendar, [])


def from_files(
    config: PipelineConfig, calendar: SessionCalendar, bars: Path, ticks: Path | None
) -> RecordedTicks | PlayedBars:
    """Return the bars of a file with the ticks of another, or the bars played where there is none.

    Raises:
        BadFile: a file cannot be read, or has a mistake in it.
    """
    found = read_bars(bars, config.spec.universe.symbols)
    notes = []
    if found.others:
        notes.append(
            f"{bars}: {found.others.total()} bars are of symbols that are not in the universe and were left "
            f"out: {_some(found.others)}"
        )
    empty = [symbol for symbol, series in found.series.items() if not len(series)]
    if empty:
        notes.append(f"{bars}: no bars of {_some(empty)}: their indicators begin with the ticks")
    if ticks is not None:
        try:
            size = ticks.stat().st_size
        except OSError as error:
            raise BadFile(f"{ticks}: {error.strerror}") from error
        return RecordedTicks(ticks, found.series, found.actions, notes, size)
    try:
        series = {symbol: adjusted(one, found.actions[symbol]) for symbol, one in found.series.items()}
    except ImpossibleAction as error:
        raise BadFile(f"{bars}: {error}") from None
    return PlayedBars(config, series, calendar, notes)


def _some(symbols: Mapping[str, int] | list[str]) -> str:
    names = sorted(symbols)
    return ", ".join(names[:_SHOWN_LINES]) + (" …" if len(names) > _SHOWN_LINES else "")
