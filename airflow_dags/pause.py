"""Pauses the DAGs of suspended pipelines, and lets the others run."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from airflow_dags.pipeline import BatchPipeline

TAG = "stockpipeline"
"""Which DAGs are ours."""
_log = logging.getLogger(__name__)


class Dags(Protocol):
    """What is asked of Airflow."""

    def paused(self, tag: str) -> dict[str, bool]:
        """For each DAG with a tag whether it is paused."""

    def pause(self, dag: str, paused: bool) -> None:
        """Pause a DAG or let it run."""


def bring_to(airflow: Dags, pipelines: Iterable[BatchPipeline]) -> None:
    """Pause and unpause what differs. DAGs that Airflow does not know yet are left for the next time.

    Raises:
        AirflowUnavailable: it does not answer.
    """
    wanted = {dag: pipeline.suspend for pipeline in pipelines for dag in (pipeline.daily, pipeline.sync)}
    if not wanted:
        return
    for dag, paused in airflow.paused(TAG).items():
        if dag in wanted and paused != wanted[dag]:
            airflow.pause(dag, wanted[dag])
            _log.info("%s %s", dag, "paused" if wanted[dag] else "runs")
