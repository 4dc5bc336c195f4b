"""KIS's times: eight digits of a date and six of a time, in Korea or at the exchange, without a zone.

Korea has no daylight saving time, so its times are never ambiguous: they give the event time. Those of the
exchange are only compared with them, because a shifted field shows there.
"""

from datetime import UTC, datetime

_KOREA_SECONDS = 9 * 3600
# Daylight saving time and standard time in New York.
_EXCHANGE_OFFSETS = (-4 * 3600, -5 * 3600)


class BadTime(ValueError):
    """These digits are no time, or two of them do not fit together."""


class Times:
    """Reads times; keeps the last ones, because most records have the time of the one before."""

    def __init__(self) -> None:
        self._days: dict[str, int] = {}
        self._last: tuple[str, str, str, str] | None = None
        self._last_ms = 0

    def event_ms(self, korea_day: str, korea_time: str, local_day: str, local_time: str, check: bool) -> int:
        """Return the event time in epoch ms; with ``check``, the exchange's time must be the same in New
        York.

        Raises:
            BadTime: a text is no time, or they are not the same.
        """
        texts = (korea_day, korea_time, local_day, local_time)
        if texts == self._last:
            return self._last_ms
        epoch = self._seconds(korea_day, korea_time) - _KOREA_SECONDS
        local = self._seconds(local_day, local_time)
        if check and local - epoch not in _EXCHANGE_OFFSETS:
            raise BadTime(f"{korea_day} {korea_time} in Korea is not {local_day} {local_time} in New York")
        self._last, self._last_ms = texts, epoch * 1000
        return self._last_ms

    def korea_ms(self, day: str, time: str) -> int:
        """Return a Korean time in epoch ms.

        Raises:
            BadTime: the texts are no time.
        """
        return (self._seconds(day, time) - _KOREA_SECONDS) * 1000

    def _seconds(self, day: str, time: str) -> int:
        """Return the seconds from 1970 as if the time were UTC."""
        if len(time) != 6 or not (time.isascii() and time.isdigit()):
            raise BadTime(f"{time!r} is no time of six digits")
        hour, minute, second = int(time[:2]), int(time[2:4]), int(time[4:])
        if hour > 23 or minute > 59 or second > 59:
            raise BadTime(f"{time!r} is no time of a day")
        midnight = self._days.get(day)
        if midnight is None:
            midnight = self._midnight(day)
        return midnight + hour * 3600 + minute * 60 + second

    def _midnight(self, day: str) -> int:
        if len(day) != 8 or not (day.isascii() and day.isdigit()):
            raise BadTime(f"{day!r} is no date of eight digits")
        try:
            midnight = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
        except ValueError as error:
            raise BadTime(f"{day!r} is no date: {error}") from None
        if len(self._days) > 8:
            self._days.clear()
        self._days[day] = int(midnight.timestamp())
        return self._days[day]
