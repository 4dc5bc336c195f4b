"""When everything in Redis is read back: after a week's last session, whatever its day."""

from __future__ import annotations

from datetime import date

import pytest

from airflow_dags.weeks import ends_week
from stockpipeline.market.exchange_hours import ExchangeHours


@pytest.mark.parametrize(
    ("session", "last"),
    [
        (date(2024, 3, 22), True),
        (date(2024, 3, 27), False),
        (date(2024, 3, 28), True),  # before Good Friday
        (date(2024, 11, 27), False),  # before Thanksgiving, after which it trades for half a day
        (date(2024, 11, 29), True),
    ],
)
def test_the_last_session_of_a_week(session: date, last: bool) -> None:
    assert ends_week(ExchangeHours.of("XNAS"), session) is last
