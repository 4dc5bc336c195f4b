"""The engine Spark on this machine, next to the engine Local on the same lakes."""

from __future__ import annotations

import json
import time
from pathlib import Path

from cluster import side_environments
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.spark_local import PIPELINE, compute
from tests.performance.report import Report

_PASSES = 3


class SparkHere:
    """Runs the job on lakes."""

    def __init__(self, folder: Path) -> None:
        self._settings = Settings.from_environment()
        self._python = side_environments.ensure(self._settings, side_environments.SPARK, Progress())
        self._config = folder / "pipeline.json"
        self._config.write_text(json.dumps(PIPELINE))

    def measure(self, report: Report, size: str, lake: Path, *, warm: bool) -> None:
        """Add `spark_SIZE`, a whole run, and if `warm`, what a pass costs in a session that is up."""
        started = time.perf_counter()
        self._run(lake, 1)
        seconds = time.perf_counter() - started
        report.add(
            f"spark_{size}", seconds, "s", baseline=f"local_{size}", note="on this machine, start to end"
        )
        if warm:
            best = min(self._run(lake, _PASSES)[1:])
            report.add(f"spark_warm_pass_{size}", best, "s", baseline=f"local_pass_{size}")

    def _run(self, lake: Path, passes: int) -> list[float]:
        told = compute(self._settings, self._python, self._config, lake, "--anew", "--passes", str(passes))
        seconds = told["pass_seconds"]
        assert isinstance(seconds, list)
        return seconds
