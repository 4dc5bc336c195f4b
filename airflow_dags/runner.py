"""Runs a step of the batch as a process, and turns what it says into what Airflow does next."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

_log = logging.getLogger(__name__)
_PASSING = frozenset(
    (
        "NotSettled",
        "HistoryUnavailable",
        "NotLoaded",
        "OSError",
        "URLError",
        "ConnectionError",
        "TimeoutError",
        "Unavailable",
    )
)
"""Errors that may be gone the next time; all others need somebody, or another step."""


def run_step(command: Sequence[str]) -> dict[str, Any]:
    """Run a command that prints JSON objects; return the last of them.

    Raises:
        AirflowException: it failed, and another try may help.
        AirflowFailException: it failed, and would fail again.
    """
    _log.info("%s", " ".join(command))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = process.communicate()
    except BaseException:  # a task that Airflow ends takes its process with it
        process.terminate()
        process.wait()
        raise
    for line in errors.splitlines():
        _log.info("%s", line)
    report = _last_object(out)
    if process.returncode == 0 and report is not None:
        _log.info("%s", json.dumps(report))
        return report
    if report is None or process.returncode < 0:
        # Killed, or ended without a word: as a pod that was evicted, it may do better elsewhere.
        raise AirflowException(f"{' '.join(command[:4])} … ended with {process.returncode} and no report")
    error = AirflowException if report.get("error") in _PASSING else AirflowFailException
    raise error(f"{report.get('error')}: {report.get('message')}")


def _last_object(out: str) -> dict[str, Any] | None:
    lines = out.splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
