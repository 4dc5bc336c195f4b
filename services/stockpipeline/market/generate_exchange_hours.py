"""Makes exchange_hours.json from exchange_calendars.

`python -m stockpipeline.market.generate_exchange_hours` prints it.
"""

import datetime
import json
import sys
from typing import Any

import exchange_calendars

from stockpipeline.api import Exchange
from stockpipeline.market.exchange_hours import FIRST_DAY, LAST_DAY

_DAY = datetime.timedelta(days=1)


def hours(exchange: str) -> dict[str, Any]:
    """Every session of an exchange, told by what is regular and by the exceptions. Times are minutes UTC."""
    calendar = exchange_calendars.get_calendar(exchange, start=str(FIRST_DAY), end=str(LAST_DAY))
    schedule = calendar.schedule
    early = {stamp.date() for stamp in calendar.early_closes}
    sessions = {
        stamp.date(): (_minutes(opens), _minutes(closes))
        for stamp, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    }
    regular: list[tuple[str, int, int]] = []
    for day, (opens, closes) in sessions.items():
        if day not in early and (not regular or regular[-1][1:] != (opens, closes)):
            regular.append((day.isoformat(), opens, closes))
    days = [FIRST_DAY + number * _DAY for number in range((LAST_DAY - FIRST_DAY).days + 1)]
    return {
        "first": FIRST_DAY.isoformat(),
        "last": LAST_DAY.isoformat(),
        "regular": regular,
        "early": {day.isoformat(): sessions[day] for day in sorted(early)},
        "holidays": [day.isoformat() for day in days if day.weekday() < 5 and day not in sessions],
    }


def _minutes(stamp: Any) -> int:
    return int(stamp.hour * 60 + stamp.minute)


def render() -> str:
    """The file's text; the same version of exchange_calendars always gives the same."""
    return json.dumps({one.value: hours(one.value) for one in Exchange}, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
