"""Runs a step of the batch as a pod or a process, and turns what it says into what Airflow does next."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_dags.job import Step, StepJob, last_report
from airflow_dags.kube import Kube, KubeError
from airflow_dags.pipeline import BatchPipeline, Pods
from airflow_dags.record import RunRecord
from airflow_dags.retries import SomeFailed, SourceRefused

_log = logging.getLogger(__name__)
_PASSING = frozenset(
    (
        "BadListing",
        "HistoryUnavailable",
        "NotLoaded",
        "OSError",
        "URLError",
        "ConnectionError",
        "KubernetesUnreachable",
        "SparkFailed",
        "TimeoutError",
        "Unavailable",
    )
)
"""Errors that may be gone the next time; all others need somebody, or another step."""
_OF_DOWNLOADS: dict[str, type[AirflowException]] = {"SourceRefuses": SourceRefused, "NotSettled": SomeFailed}


def run_step(
    pipeline: BatchPipeline, words: Sequence[str], session: str = "", *, program: Sequence[str] = ()
) -> dict[str, Any]:
    """Run `stockpipeline WORDS`, which ends with a report; return that.

    ``program`` is run in place of the command line of the services, where steps are processes.

    Raises:
        SourceRefused, SomeFailed: a download did not get all that it asked for.
        AirflowException: it failed otherwise, and another try may help.
        AirflowFailException: it failed, and would fail again.
    """
    if pipeline.pods is not None:
        ok, report = _in_pod(pipeline.pods, words, session)
    else:
        ok, report = _as_process([*(program or pipeline.command), *words])
    what = " ".join(("stockpipeline", *words[:2]))
    if report is None or (not ok and report["ok"]):
        # Killed, or ended without a word: as a pod that was evicted, it may do better elsewhere.
        raise AirflowException(f"{what} … ended without a report; the log above says how")
    if ok:
        return report
    name = str(report.get("error"))
    error = _OF_DOWNLOADS.get(name, AirflowException if name in _PASSING else AirflowFailException)
    raise error(f"{name}: {report.get('message')}")


def _as_process(command: Sequence[str]) -> tuple[bool, dict[str, Any] | None]:
    """Run a command where this task runs; return whether it succeeded, and its report, if it made one."""
    _log.info("%s", " ".join(command))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = process.communicate()
    except BaseException:  # a task that Airflow ends takes its process with it
        process.terminate()
        process.wait()
        raise
    for line in (*errors.splitlines(), *out.splitlines()):
        _log.info("%s", line)
    return process.returncode == 0, last_report(out.splitlines())


def _in_pod(pods: Pods, words: Sequence[str], session: str) -> tuple[bool, dict[str, Any] | None]:
    instance: Any = get_current_context()["ti"]
    identity = (instance.dag_id, instance.run_id, instance.task_id, str(instance.map_index))
    labels = {"stockpipeline.dev/step": instance.task_id}
    if session:
        labels["stockpipeline.dev/session"] = session
    began = time.monotonic()
    try:
        ok, lines = StepJob(Kube.of_this_pod(), pods, Step(identity, tuple(words), labels)).run()
    except (KubeError, OSError, LookupError) as error:
        raise AirflowException(f"the Kubernetes API: {error}") from error
    try:
        took = time.monotonic() - began
        RunRecord(Kube.of_this_pod, pods).took(instance.task_id, instance.map_index, took)
    except (KubeError, OSError) as error:
        _log.warning("how long the step took was not written down: %s", error)
    return ok, last_report(lines)
