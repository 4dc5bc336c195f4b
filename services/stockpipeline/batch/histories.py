"""The histories that Redis should have, from the store: the newest bars of each symbol, adjusted.

The connection may be the master's or a replica's. A symbol without a bar in the last 20 sessions is one that
left the exchange, and has no history; one that missed more than 20 of the last 270 has fewer bars.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stockpipeline.api import BAR_FIELDS
from stockpipeline.batch.lake import ACTIONS, BARS, actions_of, series_of
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import adjusted
from stockpipeline.market.sessions import session_iso

Query = Callable[[str, Sequence[Any]], pa.Table]
"""(SQL, parameters) → all rows, as an Arrow table."""

HISTORY_BARS = 250
_MISSED_BARS = 20


def histories(query: Query, session: int, bars: int = HISTORY_BARS) -> dict[str, BarSeries]:
    """Return the newest ``bars`` up to a session of each symbol that is still traded.

    Raises:
        InvalidBars: the store has bars that cannot be.
        ImpossibleAction: a split or dividend that cannot be.
    """
    until = session_iso(session)
    sessions = query(
        "SELECT DISTINCT session FROM bars WHERE session <= ?::DATE ORDER BY session DESC LIMIT ?",
        [until, bars + _MISSED_BARS],
    )
    if not sessions.num_rows:
        return {}
    days = sessions.column("session").cast(pa.int32()).to_numpy()
    fields = ", ".join(BAR_FIELDS)
    table = query(
        f"SELECT symbol, session, {fields} FROM bars WHERE session BETWEEN ?::DATE AND ?::DATE"  # noqa: S608
        " ORDER BY symbol, session",
        [session_iso(int(days[-1])), until],
    ).cast(BARS)
    actions = actions_of(
        query(
            "SELECT symbol, session, split, dividend FROM actions WHERE session <= ?::DATE"
            " ORDER BY symbol, session",
            [until],
        ).cast(ACTIONS)
    )
    traded_since = int(days[min(_MISSED_BARS, len(days)) - 1])
    found = {}
    for symbol, _, series in series_of(table):
        if series.sessions[-1] < traded_since:
            continue
        # An action's factor is of the close before it, so bars are cut after they are adjusted.
        first = int(series.sessions[0])
        known = [action for action in actions.get(symbol, ()) if action.session > first]
        found[symbol] = adjusted(series, known).last(bars)
    return found


def newest_session(query: Query) -> int | None:
    """Return the last session that the store has bars of."""
    found = query("SELECT max(session) AS session FROM bars", []).column("session").cast(pa.int32())
    value = found.to_numpy(zero_copy_only=False)[0]
    return None if np.isnan(value) else int(value)
