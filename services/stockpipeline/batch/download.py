"""The download of a session: what each symbol lacks, asked of the sources in their order.

A symbol whose bars are in the lake is asked for what is new, with some days that are known; a new one, one
that was split, and one whose known days come back otherwise are asked for their whole past.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog

from stockpipeline.batch.downloads import Download, DownloadFolder
from stockpipeline.batch.outcomes import Outcome
from stockpipeline.batch.yahoo_chart import DailyChart
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.sessions import session_iso

_OVERLAP_DAYS = 10
_SAME = 1e-4
"""Relative difference up to which a known close is the same; sources round to 32 bits."""
_STRETCH = 50
_log = structlog.get_logger()


class RateLimited(Exception):
    """The source refuses for now."""


class SourceFailed(Exception):
    """No usable answer; the message says why."""


class UnknownSymbol(Exception):
    """The source does not know the symbol; the message is the source's."""


class DailySource(Protocol):
    """Where daily bars come from; one implementation for each provider."""

    name: str

    def fetch(self, symbol: str, since: int, until: int) -> DailyChart:
        """Return the rows and actions from one session to another, both included; blocks.

        Raises:
            UnknownSymbol, RateLimited, SourceFailed: see there.
        """


@dataclass(frozen=True)
class Terms:
    """How a download goes about it."""

    history_days: int = 5 * 366
    attempts: int = 4
    wait_seconds: float = 5.0
    """Wait after the first refusal or failure, doubled with each that follows."""
    give_up_after: int = 5
    """Symbols in a row that were refused, after which the others are not asked for: another run goes on."""
    rest: Callable[[float], None] = time.sleep


def download(
    folder: DownloadFolder,
    batch: str,
    symbols: Iterable[str],
    known: Mapping[str, BarSeries],
    sources: Sequence[DailySource],
    session: int,
    terms: Terms | None = None,
) -> dict[str, Outcome]:
    """Download what is not settled yet, and return the outcomes of all of these symbols.

    ``known`` are the bars of symbols that the lake has, as traded.
    """
    terms = terms or Terms()
    settled = folder.settled()
    outcomes = {symbol: settled[symbol] for symbol in symbols if symbol in settled}
    todo = [symbol for symbol in symbols if symbol not in settled]
    refused = 0
    for start in range(0, len(todo), _STRETCH):
        found = []
        for symbol in todo[start : start + _STRETCH]:
            if refused >= terms.give_up_after:
                one = Download(symbol, Outcome.RATE_LIMITED, f"not asked: {refused} before it were refused")
            else:
                one = fetch_symbol(symbol, known.get(symbol), sources, session, terms)
                refused = refused + 1 if one.outcome is Outcome.RATE_LIMITED else 0
            found.append(one)
        folder.write(batch, found)
        outcomes.update((one.symbol, one.outcome) for one in found)
    return outcomes


def fetch_symbol(
    symbol: str,
    known: BarSeries | None,
    sources: Sequence[DailySource],
    session: int,
    terms: Terms,
) -> Download:
    """Ask the sources for one symbol until one has the session's bar; return the best answer."""
    best: Download | None = None
    for source in sources:
        found = _ask(source, symbol, known, session, terms)
        if found.outcome is Outcome.OK:
            return found
        _log.warning(
            "a download failed",
            source=source.name,
            symbol=symbol,
            outcome=str(found.outcome),
            why=found.detail,
        )
        # One that knows the symbol says more than one that does not answer or does not know it.
        if best is None or _RANK.index(found.outcome) < _RANK.index(best.outcome):
            best = found
    return best or Download(symbol, Outcome.ERROR, "there is no source to ask")


_RANK = (Outcome.OK, Outcome.NO_DATA, Outcome.RATE_LIMITED, Outcome.ERROR, Outcome.DELISTED)


def _ask(source: DailySource, symbol: str, known: BarSeries | None, session: int, terms: Terms) -> Download:
    wait = terms.wait_seconds
    for attempt in range(terms.attempts):
        try:
            return _answer(source, symbol, known, session, terms)
        except UnknownSymbol as error:
            return Download(symbol, Outcome.DELISTED, f"{source.name}: {error}")
        except RateLimited as error:
            failure = Download(symbol, Outcome.RATE_LIMITED, f"{source.name}: {error}")
        except SourceFailed as error:
            failure = Download(symbol, Outcome.ERROR, f"{source.name}: {error}")
        if attempt + 1 < terms.attempts:
            terms.rest(wait)
            wait *= 2
    return failure


def _answer(
    source: DailySource, symbol: str, known: BarSeries | None, session: int, terms: Terms
) -> Download:
    whole = known is None or not len(known)
    if known is not None and not whole:
        since = min(int(known.sessions[-1]), session) - _OVERLAP_DAYS
        chart = source.fetch(symbol, since, session)
        newest = int(known.sessions[-1])
        split = any(action.split != 1.0 and action.session > newest for action in chart.actions)
        whole = split or not _agrees(known, chart)
    if whole:
        chart = source.fetch(symbol, session - terms.history_days, session)
    if session in chart.raw.sessions:
        outcome, detail = Outcome.OK, ""
    else:
        newest_there = int(chart.raw.sessions.max()) if len(chart.raw.sessions) else None
        detail = "no bars" if newest_there is None else f"the newest bar is of {session_iso(newest_there)}"
        outcome, detail = Outcome.NO_DATA, f"{source.name}: {detail}"
    return Download(symbol, outcome, detail, whole, chart.raw, tuple(chart.actions))


def _agrees(known: BarSeries, chart: DailyChart) -> bool:
    """Whether the days that both have closed at the same prices."""
    _, here, there = np.intersect1d(known.sessions, chart.raw.sessions, return_indices=True)
    before, after = known.close[here], chart.raw.columns[3][there]
    told = ~np.isnan(after)
    return bool(told.any()) and bool(np.all(np.abs(after[told] / before[told] - 1.0) <= _SAME))
