"""The replay source: daily bars from the past, played as ticks (see ``bridge``) in the order of their times.

It only makes ticks; ``pacing`` decides when each is due. Each symbol's ticks are numbered from 1 at the
replay's start, ``ticks_per_bar`` a bar, so a number says where in the replay a tick is, and going on after
any number costs nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import chain
from operator import attrgetter

from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.calendar import LAST_DAY, SessionCalendar
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.sources.bridge import bridge
from stockpipeline.sources.laps import Day, laps

_by_time = attrgetter("ts")


class ReplaySource:
    """Plays the bars of ``start`` to ``end`` (both included; no end: to the last bar) of each symbol.

    ``bars`` may reach back before ``start``: what lies there is the symbol's history. With ``loop`` it goes
    on after ``end``, see `laps`.
    """

    def __init__(
        self,
        name: str,
        bars: Mapping[str, BarSeries],
        calendar: SessionCalendar,
        start: date,
        end: date | None = None,
        ticks_per_bar: int = 100,
        seed: int = 1,
        loop: bool = False,
    ) -> None:
        self.name = name
        self._calendar = calendar
        self._ticks_per_bar = ticks_per_bar
        self._seed = seed
        self._history = {symbol: series.before(start) for symbol, series in bars.items()}
        played = {symbol: series.since(start) for symbol, series in bars.items()}
        if end is not None:
            played = {symbol: series.until(end) for symbol, series in played.items()}
        self._played = played
        self._laps: list[int] = []
        self._lap = 0
        if loop and end is not None:
            self._laps = calendar.sessions_between(start, LAST_DAY)
            self._lap = len(calendar.sessions_between(start, end))

    def history(self, symbol: str) -> BarSeries:
        """Return the bars before the replay's start."""
        return self._history[symbol]

    def last_number(self, symbol: str) -> int:
        """Return the number of the symbol's last tick, in the first lap; 0 where it has none."""
        return len(self._played[symbol]) * self._ticks_per_bar

    def ticks(self, after: Mapping[str, int]) -> Iterator[Tick]:
        """Return the ticks by time, then symbol; see ``Source.ticks``."""
        by_session: dict[int, list[tuple[str, int, Bar]]] = {}
        for symbol, series in sorted(self._played.items()):
            for index, bar in enumerate(series):
                if (index + 1) * self._ticks_per_bar > after.get(symbol, 0):
                    by_session.setdefault(bar.session, []).append((symbol, index, bar))
        days = [Day(session, by_session[session]) for session in sorted(by_session)]
        bars_sent = {symbol: number // self._ticks_per_bar for symbol, number in after.items()}
        more = laps(self._played, self._laps, self._lap, bars_sent) if self._lap else ()
        for day in chain(days, more):
            yield from sorted(self._session(day.session, day.bars, after), key=_by_time)

    def _session(
        self, session: int, bars: list[tuple[str, int, Bar]], after: Mapping[str, int]
    ) -> Iterator[Tick]:
        """Make the ticks of one session, symbol after symbol."""
        opens_ms, closes_ms = self._calendar.open_close_ms(session)
        for symbol, index, bar in bars:
            before = index * self._ticks_per_bar
            sent = max(0, after.get(symbol, 0) - before)
            if sent >= self._ticks_per_bar:
                continue
            path = bridge(bar, symbol, opens_ms, closes_ms, self._ticks_per_bar, self._seed)
            rest = zip(path.ts[sent:], path.prices[sent:], path.volumes[sent:], strict=True)
            for number, (ts, price, volume) in enumerate(rest, before + sent + 1):
                yield Tick(symbol, price, volume, ts, self.name, MarketSession.REGULAR, number)
