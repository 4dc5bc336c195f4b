"""What Airflow knows of a pipeline: one JSON file for each, in the folder STOCKPIPELINE_BATCHES."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """Named in camelCase in files."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class SparkAccess(Wire):
    """What the step that computes needs to ask for Spark's pods."""

    account: str
    """ServiceAccount that may make their Job."""

    image: str
    """Of the driver and the executors."""

    volume: str
    """Claim that has the lake, and where pods see it: CLAIM:/PATH."""


class Pods(Wire):
    """How steps run as pods, each of a Job in the pipeline's namespace."""

    namespace: str
    """Namespace of the pipeline."""

    template: dict[str, Any]
    """Metadata and spec of a step's pod; its one container gets the step's words as arguments."""

    owner: dict[str, Any]
    """The object that Jobs belong to: they go with it."""

    record: str
    """ConfigMap of that namespace in which it is written how runs end."""

    spark: SparkAccess | None = None
    """How to ask for Spark; without it, the engine Spark is not there."""


class BatchPipeline(Wire):
    """A pipeline's batch: when it runs, and where what it works on is."""

    name: str = Field(pattern=r"[a-z]([-a-z0-9]*[a-z0-9])?")
    """The StockPipeline's name."""

    dags: str | None = Field(default=None, pattern=r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
    """What the names of its DAGs begin with, where that is not its name."""

    exchange: str
    """Market identifier code; the batch runs after each of its sessions."""

    after_close_seconds: float = Field(ge=0, default=7200)
    """Time from the exchange's close to the run."""

    start: date
    """The first session to run for; those that were missed since are made up for, one after the other."""

    suspend: bool = False
    """Make no runs; those by hand are made."""

    batches: int = Field(ge=1, le=64, default=4)
    """Into how many tasks the download is divided."""

    retries: int = Field(ge=0, default=3)
    """How often a step is tried again whose failure may pass."""

    retry_seconds: float = Field(ge=0, default=60)
    """Wait before the first retry of a step, doubled with each that follows, an hour at most."""

    refused_retries: int = Field(ge=0, default=12)
    """How often a download is tried again that a source has refused; what it has is kept each time."""

    refused_seconds: float = Field(ge=0, default=600)
    """How long a source is left alone that has refused."""

    command: tuple[str, ...] = ("stockpipeline",)
    """What runs the command line of the services, where steps are processes."""

    pods: Pods | None = None
    """How steps run as pods; without it, they are processes where Airflow's tasks are."""

    spark: tuple[str, ...] | None = None
    """What runs spark_jobs.compute_indicators in place of the engine Local."""

    config: Path
    """pipeline.json"""

    lake: str
    """The batch's folder, or where it is in an object store."""

    lake_cache: Path | None = None
    """Where steps bring a lake of an object store; without it, to a folder that goes with the step."""

    store: str
    """URL of the store's generations: results are delivered there, and replicas pulled from there."""

    replica: Path
    """A replica of the store, for the sync of Redis."""

    @property
    def prefix(self) -> str:
        """What the names of its DAGs and of its asset begin with."""
        return self.dags or self.name

    @property
    def daily(self) -> str:
        """The name of the DAG that runs after each session."""
        return f"{self.prefix}_daily_pipeline"

    @property
    def sync(self) -> str:
        """The name of the DAG that brings Redis to the store's state."""
        return f"{self.prefix}_watchlist_sync"


def pipelines() -> list[BatchPipeline]:
    """Return the pipelines that there are files of; none where the folder is not there.

    Raises:
        ValueError: a file is not what it should be; the message names it.
    """
    folder = Path(os.environ.get("STOCKPIPELINE_BATCHES", "/etc/stockpipeline-batches"))
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(BatchPipeline.model_validate_json(path.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return found
