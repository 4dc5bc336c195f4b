"""Kubernetes Events about a pipeline: what changed, once."""

import datetime
import time
import uuid
from typing import Literal

import structlog

from stockpipeline.api import API_VERSION, KIND
from stockpipeline.runtime.settings import instance_name
from stockpipeline_operator.kube.client import ApiError, KubeClient
from stockpipeline_operator.kube.resources import EVENT
from stockpipeline_operator.reconcile.event_budget import EventBudget, Series
from stockpipeline_operator.reconcile.pipeline import Pipeline

_log = structlog.get_logger()
_CONTROLLER = "stockpipeline.dev/operator"
_LONGEST_NOTE_BYTES = 1024
Severity = Literal["Normal", "Warning"]


def shortened(note: str) -> str:
    """As much of `note` as the API server takes: it counts bytes."""
    return note.encode()[:_LONGEST_NOTE_BYTES].decode(errors="ignore")


class Events:
    """Records events. An event that cannot be written is logged, and nothing depends on it."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._instance = instance_name()
        self._budget = EventBudget()

    def record(self, pipeline: Pipeline, severity: Severity, reason: str, note: str) -> None:
        """Record that something happened, in the log and, unless there are too many, as an Event."""
        log = _log.warning if severity == "Warning" else _log.info
        log(note, namespace=pipeline.namespace, pipeline=pipeline.name, reason=reason)
        uid = pipeline.resource["metadata"]["uid"]
        name = f"{pipeline.name}.{uuid.uuid4().hex[:16]}"
        series = self._budget.happened(uid, (severity, reason, note), name, time.monotonic())
        if series is None:
            return
        try:
            if series.count == 1:
                self._create(pipeline, name, severity, reason, note)
            else:
                self._update(pipeline, series)
        except ApiError as error:
            # For one, nothing can be created in a namespace that is being deleted.
            _log.info(
                "event not recorded", namespace=pipeline.namespace, pipeline=pipeline.name, error=str(error)
            )

    def _create(self, pipeline: Pipeline, name: str, severity: Severity, reason: str, note: str) -> None:
        body = {
            "metadata": {"name": name, "namespace": pipeline.namespace},
            "eventTime": _now(),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "type": severity,
            "reason": reason,
            "note": shortened(note),
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": pipeline.namespace,
                "name": pipeline.name,
                "uid": pipeline.resource["metadata"]["uid"],
            },
        }
        self._client.create(EVENT.path(pipeline.namespace), body)

    def _update(self, pipeline: Pipeline, series: Series) -> None:
        body = {"series": {"count": series.count, "lastObservedTime": _now()}}
        self._client.merge(EVENT.path(pipeline.namespace, series.name), body)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
