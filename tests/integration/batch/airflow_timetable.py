"""Runs in Airflow's own environment: when the timetable makes runs, as lines of JSON."""

from __future__ import annotations

import json

import pendulum
from airflow.serialization.serialized_objects import DagSerialization  # noqa: F401 - loads the plugins
from airflow.timetables.base import TimeRestriction

from airflow_dags.timetable import AfterSession


def main() -> None:
    timetable = AfterSession.deserialize(AfterSession("XNAS", 7200.0).serialize())
    # Thanksgiving 2024 was on November 28, and the day after a half day.
    restriction = TimeRestriction(pendulum.datetime(2024, 11, 27), None, True)
    last = None
    for _ in range(3):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert info is not None
        last = info.data_interval
        assert last is not None
        print(json.dumps([last.start.isoformat(), last.end.isoformat(), info.run_after.isoformat()]))
    sunday = timetable.infer_manual_data_interval(run_after=pendulum.datetime(2024, 12, 1, 12))
    print(json.dumps(sunday.start.isoformat()))


if __name__ == "__main__":
    main()
