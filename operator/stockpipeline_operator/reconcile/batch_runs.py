"""What Airflow has written down of a pipeline's runs, and whether a session is overdue.

Airflow's tasks write into the ConfigMap NAME-batch-run how the last run ended (`last`), which run is under
way (`running`), the newest session that is done (`newest`), and how long the newest try of each step took
(`seconds.STEP`, of a step that is divided `seconds.STEP.NUMBER`).
"""

import datetime
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from stockpipeline.api import StockPipelineSpec, duration
from stockpipeline.market.exchange_hours import ExchangeHours, OutOfTable
from stockpipeline_operator.kube.client import Object

# Of a run, with all that is tried again.
_PATIENCE = datetime.timedelta(hours=3)
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_SECONDS = "seconds"


@dataclass(frozen=True)
class Runs:
    """What is known of a pipeline's runs."""

    since: datetime.datetime
    """When the batch was added."""
    last: Mapping[str, Any] | None = None
    running: Mapping[str, Any] | None = None
    newest: datetime.date | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By step; of one that is divided, its longest part."""

    @classmethod
    def of(cls, found: Object) -> Self:
        """Read them from the ConfigMap; what cannot be read is not known."""
        data = found.get("data") or {}
        return cls(
            datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"]),
            _entry(data, "last"),
            _entry(data, "running"),
            _date(data.get("newest", "")),
            _step_seconds(data),
        )

    @property
    def failed(self) -> bool:
        """Whether the last run ended without success."""
        return self.last is not None and not self.last.get("ok")

    @property
    def error(self) -> str:
        """The kind of error of a last run that failed, as one word."""
        assert self.last is not None
        error = str(self.last.get("error", ""))
        return error if _REASON.fullmatch(error) else "Failed"


def first_session(spec: StockPipelineSpec, runs: Runs) -> datetime.date:
    """The first session that the batch runs for."""
    assert spec.batch is not None
    return spec.batch.schedule.start or runs.since.date()


def overdue(spec: StockPipelineSpec, runs: Runs, now: datetime.datetime) -> datetime.date | None:
    """The newest session that should be done for long and is not; None where there is none."""
    assert spec.batch is not None
    if now < runs.since + _PATIENCE:  # sessions before are made up for; that takes its time, too
        return None
    wait = duration(spec.batch.schedule.after_close) + _PATIENCE
    try:
        newest = ExchangeHours.of(spec.universe.exchange.value).last_close(now - wait).date()
    except OutOfTable:
        return None
    if newest < first_session(spec, runs) or (runs.newest is not None and runs.newest >= newest):
        return None
    return newest


def _entry(data: Mapping[str, str], name: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(data.get(name, "null"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _step_seconds(data: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, text in data.items():
        kind, _, part = name.partition(".")
        step = part.partition(".")[0]
        try:
            seconds = float(text) if kind == _SECONDS and step else math.nan
        except ValueError:
            continue
        if math.isfinite(seconds):
            found[step] = max(seconds, found.get(step, 0.0))
    return found
