"""Which sessions end a week: there need not be one on its Friday."""

from __future__ import annotations

from datetime import date, timedelta

from stockpipeline.market.exchange_hours import ExchangeHours

_SUNDAY = 7


def ends_week(hours: ExchangeHours, session: date) -> bool:
    """Whether the exchange trades no more between a session and the next Monday."""
    rest = range(1, _SUNDAY - session.isoweekday() + 1)
    return all(hours.session_on(session + timedelta(days)) is None for days in rest)
