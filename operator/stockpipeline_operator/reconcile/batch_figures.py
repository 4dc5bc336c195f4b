"""Figures of the batches' runs, for Prometheus: the pods of a run live too short to be scraped."""

import datetime
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.reconcile.batch_runs import Runs, overdue

# (namespace, name) of a StockPipeline.
Key = tuple[str, str]


@dataclass(frozen=True)
class BatchFigures:
    """Of one pipeline. Points in time are seconds since the epoch; None is what is not known."""

    minimum_coverage: float
    overdue: bool | None = None
    """None while the pipeline is suspended: nothing is due then."""
    done_session: float | None = None
    """Midnight UTC of the newest session that is done."""
    began: float | None = None
    """When the run began that is under way."""
    ended: float | None = None
    """When the last run ended."""
    run_seconds: float | None = None
    """How long the last run took."""
    failure: tuple[str, str] | None = None
    """Step and error of a last run that failed."""
    step_seconds: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, spec: StockPipelineSpec, runs: Runs, now: datetime.datetime) -> Self:
        """The figures of a pipeline that has a batch."""
        assert spec.batch is not None
        last, running = runs.last or {}, runs.running or {}
        began, ended = _seconds(last.get("since")), _seconds(last.get("at"))
        return cls(
            minimum_coverage=spec.batch.minimum_coverage,
            overdue=None if spec.suspend else overdue(spec, runs, now) is not None,
            done_session=None if runs.newest is None else _seconds(f"{runs.newest}T00:00:00+00:00"),
            began=_seconds(running.get("since")),
            ended=ended,
            run_seconds=None if began is None or ended is None else max(0.0, ended - began),
            failure=(str(last.get("task")), runs.error) if runs.failed else None,
            step_seconds=tuple(sorted(runs.seconds.items())),
        )


class Batches:
    """The figures of all pipelines; used by many threads at once."""

    def __init__(self) -> None:
        self._figures: dict[Key, BatchFigures] = {}
        self._lock = threading.Lock()

    def note(self, key: Key, figures: BatchFigures) -> None:
        """Replace the figures of a pipeline."""
        with self._lock:
            self._figures[key] = figures

    def forget(self, key: Key) -> None:
        """A pipeline is gone, or has no batch."""
        with self._lock:
            self._figures.pop(key, None)

    def all(self) -> Mapping[Key, BatchFigures]:
        """Return the figures by pipeline."""
        with self._lock:
            return dict(self._figures)


def _seconds(text: object) -> float | None:
    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
