"""What was downloaded, into the lake: checked, and only where it says more than what is there."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stockpipeline.api import BAR_FIELDS
from stockpipeline.batch.downloads import Download
from stockpipeline.batch.lake import (
    ACTIONS,
    BARS,
    Lake,
    actions_of,
    actions_table,
    bars_table,
    part_of,
    read_part,
    series_of,
    write_part,
)
from stockpipeline.batch.quality import Problem, RawBars, inspect
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction


def merge(lake: Lake, downloads: Mapping[str, Download], trading: NDArray[np.int32]) -> list[Problem]:
    """Bring downloads into the bars and actions of the lake; return what is wrong with them.

    A download of a whole past replaces what there was, another one adds to it and corrects the sessions that
    both have. Bars that are quarantined replace nothing. Doing it again changes nothing. ``trading`` are the
    exchange's sessions, in order.

    Raises:
        BrokenPart: a part cannot be read.
    """
    by_part: defaultdict[int, list[Download]] = defaultdict(list)
    for download in downloads.values():
        if len(download.raw.sessions):
            by_part[part_of(download.symbol)].append(download)
    problems: list[Problem] = []
    for part, found in sorted(by_part.items()):
        series = {symbol: one for symbol, _, one in series_of(read_part(lake.bars(part), BARS))}
        actions = actions_of(read_part(lake.actions(part), ACTIONS))
        for download in found:
            symbol = download.symbol
            known = BarSeries.empty() if download.whole else series.get(symbol, BarSeries.empty())
            series[symbol], wrong = merge_bars(known, download, trading)
            problems += wrong
            actions[symbol] = merge_actions([] if download.whole else actions.get(symbol, []), download)
        write_part(lake.actions(part), actions_table(actions))
        write_part(lake.bars(part), bars_table(series))
    return problems


def merge_bars(
    known: BarSeries, download: Download, trading: NDArray[np.int32]
) -> tuple[BarSeries, list[Problem]]:
    """Return the bars of both, those of the download where both have some, and what is wrong."""
    fresh, problems = inspect(download.symbol, download.raw, trading)
    kept = ~np.isin(known.sessions, fresh.sessions)
    both = RawBars(
        np.concatenate((known.sessions[kept], fresh.sessions)),
        tuple(np.concatenate((getattr(known, name)[kept], getattr(fresh, name))) for name in BAR_FIELDS),
    )
    # Gaps are those of both together: what the download lacks may be there.
    series, gaps = inspect(download.symbol, both, trading)
    return series, sorted([*(one for one in problems if one.problem != "gap"), *gaps])


def merge_actions(known: list[CorporateAction], download: Download) -> list[CorporateAction]:
    """Return the actions of both; in the range of the download, its own alone."""
    first, last = int(download.raw.sessions.min()), int(download.raw.sessions.max())
    outside = [action for action in known if not first <= action.session <= last]
    fresh = {action.session for action in download.actions}
    return sorted([*(one for one in outside if one.session not in fresh), *download.actions])
