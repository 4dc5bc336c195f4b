"""A replay that goes on after its end: backwards, forwards again, and so on, in the sessions that follow.

Time goes on, because everything behind a source counts on it: each lap plays the same bars in the next
sessions of the exchange. Every second lap runs backwards, with open and close changed places, so prices go on
where they are: a jump from the end of ten years to their beginning would be the largest move of all. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from stockpipeline.market.bars import Bar, BarSeries


class Day(NamedTuple):
    """What a session plays: symbol, place of the bar among all that the symbol has played, and the bar."""

    session: int
    bars: list[tuple[str, int, Bar]]


def laps(
    played: Mapping[str, BarSeries], sessions: Sequence[int], length: int, after: Mapping[str, int]
) -> Iterator[Day]:
    """Yield the days of all laps after the first, to the last of ``sessions``.

    The first lap plays the first ``length`` sessions. ``after``: how many bars of a symbol may be left out
    from the beginning.
    """
    by_session = {symbol: {bar.session: bar for bar in series} for symbol, series in sorted(played.items())}
    done = {symbol: len(bars) for symbol, bars in by_session.items()}
    for first in range(length, len(sessions), length):
        backwards = (first // length) % 2 == 1
        if all(done[symbol] + len(bars) <= after.get(symbol, 0) for symbol, bars in by_session.items()):
            done = {symbol: done[symbol] + len(bars) for symbol, bars in by_session.items()}
            continue
        for step, session in enumerate(sessions[first : first + length]):
            original = sessions[length - 1 - step if backwards else step]
            day = Day(session, [])
            for symbol, bars in by_session.items():
                bar = bars.get(original)
                if bar is None:
                    continue
                day.bars.append((symbol, done[symbol], _moved(bar, session, backwards)))
                done[symbol] += 1
            yield day


def _moved(bar: Bar, session: int, backwards: bool) -> Bar:
    if backwards:
        return replace(bar, session=session, open=bar.close, close=bar.open)
    return replace(bar, session=session)
