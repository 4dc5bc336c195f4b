"""Airflow keeps a timetable of ours by its name, and reads back only those that a plugin names."""

from typing import ClassVar

from airflow.plugins_manager import AirflowPlugin

from airflow_dags.timetable import AfterSession


class StockPipelineTimetable(AirflowPlugin):
    """Names the timetable."""

    name = "stockpipeline_timetable"
    timetables: ClassVar = [AfterSession]
