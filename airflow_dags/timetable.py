"""When the batch runs: some time after each session of an exchange, so never on a holiday."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

from stockpipeline.market.exchange_hours import ExchangeHours, OutOfTable, Session

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

_DAY = datetime.timedelta(days=1)


class AfterSession(Timetable):
    """Runs whose data interval is a session, from its open to its close; the logical date is the open.

    Without catch-up, a run that is due is made for the newest session that is over.
    """

    def __init__(self, exchange: str, after_close_seconds: float) -> None:
        self.exchange = exchange
        self.after_close_seconds = after_close_seconds
        self.description = f"{after_close_seconds / 3600:g} h after each session of {exchange}"

    @property
    def summary(self) -> str:
        """What Airflow's pages show."""
        return f"after {self.exchange}"

    def serialize(self) -> dict[str, Any]:
        """What Airflow keeps."""
        return {"exchange": self.exchange, "after_close_seconds": self.after_close_seconds}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """The timetable that was kept."""
        return cls(data["exchange"], data["after_close_seconds"])

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """The newest session that is over."""
        hours = ExchangeHours.of(self.exchange)
        session = hours.session_on(hours.last_close(run_after).date())
        assert session is not None, "a close is of a session"
        return _interval(session)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The run of the first session that has had none and may have one."""
        hours = ExchangeHours.of(self.exchange)
        day = None if restriction.earliest is None else restriction.earliest.date()
        if last_automated_data_interval is not None:
            after = last_automated_data_interval.end.date() + _DAY
            day = after if day is None else max(day, after)
        if not restriction.catchup:
            newest = hours.last_close(pendulum.now("UTC") - self._delay).date()
            day = newest if day is None else max(day, newest)
        if day is None:
            return None
        try:
            while (session := hours.session_on(day)) is None:
                day += _DAY
        except OutOfTable:
            return None
        interval = _interval(session)
        if restriction.latest is not None and interval.start > restriction.latest:
            return None
        return DagRunInfo(run_after=interval.end + self._delay, data_interval=interval)

    @property
    def _delay(self) -> datetime.timedelta:
        return datetime.timedelta(seconds=self.after_close_seconds)


def _interval(session: Session) -> DataInterval:
    return DataInterval(pendulum.instance(session.opens), pendulum.instance(session.closes))
