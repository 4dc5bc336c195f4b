"""Writes down how the runs of a pipeline go, in a ConfigMap that the operator reads.

Its data has `newest`, the newest session that is done, and two texts of JSON: `running` while a run is under
way, and `last`, how the last one ended, and when it began where that is known:

    {"run": "…", "session": "2026-11-20", "ok": false, "task": "coverage_gate", "error": "CoverageTooLow",
     "message": "…", "since": "2026-11-20T23:00:02+00:00", "at": "2026-11-20T23:04:11+00:00"}

The first failure of a run counts: those that follow are because of it. How long the newest try of each step
took is in `seconds.STEP`, of a step that is divided in `seconds.STEP.NUMBER`: an entry each, because such
parts run at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from airflow_dags.kube import Kube
from airflow_dags.pipeline import BatchPipeline, Pods

_SECONDS = "seconds"


class RunRecord:
    """The record of one pipeline. Writing raises `KubeError` or `OSError` where it cannot be done."""

    @classmethod
    def of(cls, pipeline: BatchPipeline) -> Self | None:
        """The record; None where steps are no pods, and there is no place for it."""
        return None if pipeline.pods is None else cls(Kube.of_this_pod, pipeline.pods)

    def __init__(self, connect: Callable[[], Kube], pods: Pods) -> None:
        self._connect = connect
        self._path = f"/api/v1/namespaces/{pods.namespace}/configmaps/{pods.record}"

    def begin(self, run: str, session: str) -> None:
        """A run begins."""
        before = {name: None for name in self._data() if name.startswith(f"{_SECONDS}.")}
        self._write({**before, "running": {"run": run, "session": session, "since": _now()}})

    def took(self, task: str, part: int, seconds: float) -> None:
        """A try of a task, or of a part of it (from 0; -1 where it is not divided), took so long."""
        name = f"{_SECONDS}.{task}" + (f".{part}" if part >= 0 else "")
        self._write({name: round(seconds, 1)})

    def fail(self, run: str, session: str, task: str, error: BaseException | None) -> None:
        """A task has failed for good."""
        name, _, message = str(error).partition(": ")
        if not message:
            name, message = type(error).__name__, str(error)
        before = self._read("last")
        if before is not None and before["run"] == run and not before["ok"] and self._read("running") is None:
            return
        ended = {"run": run, "session": session, "ok": False, "task": task, "error": name, "message": message}
        self._end(ended)

    def succeed(self, run: str, session: str) -> None:
        """A run has done all that it should."""
        self._end({"run": run, "session": session, "ok": True})
        newest = self._data().get("newest", "")
        if session > newest:  # a past session may have been run again by hand
            self._connect().merge(self._path, {"data": {"newest": session}})

    def _end(self, ended: dict[str, Any]) -> None:
        running = self._read("running")
        # The two DAGs of a night are two runs of Airflow's, about the same session.
        if running is not None and running["session"] == ended["session"]:
            ended = {**ended, "since": running["since"]}
        self._write({"running": None, "last": {**ended, "at": _now()}})

    def _read(self, entry: str) -> dict[str, Any] | None:
        text = self._data().get(entry)
        return None if text is None else dict(json.loads(text))

    def _data(self) -> dict[str, str]:
        found = self._connect().get(self._path) or {}
        return found.get("data") or {}

    def _write(self, entries: dict[str, Any]) -> None:
        data = {name: None if value is None else json.dumps(value) for name, value in entries.items()}
        self._connect().merge(self._path, {"data": data})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
