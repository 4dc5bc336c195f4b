"""The nightly batch: collect, compute, scan, load."""

import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Matches
from stockpipeline.api.spec.texts import HOST, Duration, ObjectName
from stockpipeline.api.spec.workloads import Quantity, Workload


class Engine(StrEnum):
    """What computes the indicators of the batch."""

    AUTO = "Auto"
    LOCAL = "Local"
    SPARK = "Spark"


class Schedule(ApiModel):
    """When the batch runs: after each session of the exchange, so never on a holiday."""

    after_close: Duration = "2h"
    """Time from the exchange's close to the run."""

    start: datetime.date | None = None
    """First session that it runs for; those that were missed since are made up for, one after the other.
    Without it: the day on which the batch was added to the pipeline."""


class SparkSize(ApiModel):
    """Size of one Spark process."""

    cores: Annotated[int, Field(ge=1, le=64)] = 1
    """Processor cores of each pod."""

    memory: Quantity = "1Gi"
    """Memory of each pod."""


class SparkExecutors(SparkSize):
    """Spark's executors."""

    instances: Annotated[int, Field(ge=1, le=256)] = 2
    """Number of executor pods."""


class Spark(ApiModel):
    """Sizes for the engine Spark."""

    driver: SparkSize = SparkSize()
    """The pod that leads the computation."""

    executor: SparkExecutors = SparkExecutors()
    """The pods that compute."""


class Batch(Workload):
    """The nightly batch, and how the pods of its tasks run."""

    schedule: Schedule = Schedule()
    """When it runs."""

    history_years: Annotated[int, Field(ge=1, le=50)] = 5
    """Years of daily bars to keep for each symbol."""

    minimum_coverage: Annotated[float, Field(ge=0, le=1)] = 0.98
    """Share of the active symbols that must have been downloaded; with fewer, nothing is published."""

    engine: Engine = Engine.AUTO
    """Local: one process. Spark: driver and executors. Auto: Spark where there is so much data that it
    pays."""

    size: Quantity = "10Gi"
    """Size of the volume with the bars and indicators of all symbols. Cannot change later."""

    storage_class_name: ObjectName | None = None
    """StorageClass of that volume. Without it: the cluster's default. Cannot change later."""

    lake: (
        Annotated[
            str,
            Field(min_length=1, max_length=512),
            Matches(
                rf"(s3|gs|az)://{HOST}(/[^\s@]*)?", "batch.lake must be s3://, gs:// or az://BUCKET/PATH"
            ),
        ]
        | None
    ) = None
    """Where in an object store the bars and indicators of all symbols are; the volume has a copy, so that
    little moves. Its credentials are those of replicaSync.secretRef. Without it: on the volume alone."""

    spark: Spark = Spark()
    """Sizes for the engine Spark."""

    checks = (
        Check(
            "self.size == oldSelf.size && has(self.storageClassName) == has(oldSelf.storageClassName) && "
            "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            "batch.size and batch.storageClassName cannot change: the volume has been made",
        ),
    )
