"""The pipeline that is put under load: a replay that takes the chosen time at the chosen rate."""

from __future__ import annotations

import datetime
import math
from typing import Any

from cluster.load.choice import Choice

NAMESPACE, NAME = "default", "load"
# All of them are listed, and have the history that indicators need, from the first session played on.
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
START = datetime.date(2005, 9, 1)
# Of nearly 1,900 sessions between the start and the end of the data.
_MOST_SESSIONS = 1500
# Signals come by session: some hundreds are needed to speak of a 99th percentile, thousands are not.
_SESSIONS_A_SECOND = 4.0
_LEAST_TICKS = 100
_SESSION_SECONDS = 6.5 * 3600
_SESSIONS_A_YEAR = 252


def pipeline(choice: Choice) -> dict[str, Any]:
    """Return the StockPipeline, with a store and two replicas to read from, and the default rules.

    It ends by itself after about the chosen time (half days and holidays are not counted exactly), so that
    what it should have given can be computed.
    """
    ticks = choice.rate * choice.seconds / len(SYMBOLS)
    sessions = min(_MOST_SESSIONS, _SESSIONS_A_SECOND * choice.seconds, ticks / _LEAST_TICKS)
    ticks_per_bar = math.ceil(ticks / sessions)
    days = round(ticks / ticks_per_bar * 365.25 / _SESSIONS_A_YEAR)
    return {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "universe": {"symbols": list(SYMBOLS), "exchange": "XNAS"},
            "sources": [
                {
                    "name": "replay",
                    "replay": {
                        "start": START.isoformat(),
                        "end": (START + datetime.timedelta(days=days)).isoformat(),
                        "speed": round(choice.rate * _SESSION_SECONDS / (len(SYMBOLS) * ticks_per_bar), 3),
                        "ticksPerBar": ticks_per_bar,
                    },
                }
            ],
            "store": {"size": "1Gi"},
            "replicaSync": {"replicas": 2, "schedule": {"publish": "5s", "pull": "5s"}},
        },
    }
