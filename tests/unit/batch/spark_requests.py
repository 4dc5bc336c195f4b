"""Requests to the engine Spark, for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from stockpipeline.api import DEFAULT_INDICATORS, Batch
from stockpipeline.batch.spark_request import SparkRequest, SparkVolume
from stockpipeline.market.sessions import session_from_date

REQUEST = SparkRequest(
    namespace="desk",
    pipeline="nasdaq",
    session=session_from_date(date(2026, 11, 20)),
    indicators=DEFAULT_INDICATORS,
    lake=PurePosixPath("/data/lake"),
    inputs="0123",
    anew=False,
    image="localhost/stockpipeline/spark:1",
    volume=SparkVolume("nasdaq-batch", PurePosixPath("/data")),
    terms=Batch(),
    service_account="nasdaq-spark",
    deadline_seconds=3600,
)


def request(**other: Any) -> SparkRequest:
    return replace(REQUEST, **other)


def terms(**fields: Any) -> Batch:
    return Batch.model_validate(fields)
