"""Runs in Airflow's own environment: prints what follows from what stopped a step, as JSON."""

from __future__ import annotations

import json
from datetime import timedelta

from airflow.sdk.exceptions import AirflowException

from airflow_dags.retries import ByCause, SomeFailed, SourceRefused

policy = ByCause(usual=3, refused_wait=timedelta(minutes=10))
for error in (SourceRefused("429"), SomeFailed("cut off"), AirflowException("Redis is away")):
    for tried in (3, 4):
        decision = policy.evaluate(error, tried, 12)
        seconds = None if decision.retry_delay is None else decision.retry_delay.total_seconds()
        print(json.dumps([type(error).__name__, tried, decision.action.value, seconds]))
