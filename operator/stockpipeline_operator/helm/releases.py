"""Reads and changes Helm releases in-process. Errors of the SDK become `HelmFailure` with its text."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import helm_python

from stockpipeline_operator.helm.chart import PipelineChart, Values
from stockpipeline_operator.reconcile.state import Release, ReleaseStatus

DIGEST_LABEL = "stockpipeline.dev/digest"
MAX_HISTORY = 5
_QPS, _BURST = 100.0, 200
_WAIT_SECONDS = 60
Observer = Callable[[str, str], None]


class HelmFailure(Exception):
    """Helm could not do what it was asked; the text is Helm's."""

    reason = "HelmFailed"


class FieldConflict(HelmFailure):
    """An upgrade would change fields that someone else has set on the live objects."""


@cache
def field_manager() -> str:
    """The name under which Helm owns fields in server-side apply: it takes the program's (argv[0])."""
    return Path(sys.orig_argv[0]).name


class HelmReleases:
    """The releases of one chart.

    One SDK configuration per namespace is kept, because it carries the API's discovery data. The SDK allows
    concurrent work on different releases; the caller works on one release in one thread at a time.
    """

    def __init__(
        self, chart: PipelineChart, count: Observer, before_write: Callable[[], None] = lambda: None
    ) -> None:
        self._chart = chart
        self._count = count
        self._before_write = before_write
        self._configs: dict[str, helm_python.Config] = {}
        self._lock = threading.Lock()

    def read(self, namespace: str, name: str) -> Release | None:
        """The newest revision, whatever its status; None where there is none."""
        with _failures():
            try:
                return _release(self._config(namespace).status(name))
            except helm_python.HelmNotFoundError:
                return None

    def install(self, namespace: str, name: str, values: Values, digest: str) -> Release:
        """Make the first revision. Does not wait for the workloads."""
        with self._counted("install"), _failures():
            labels = {DIGEST_LABEL: digest}
            made = self._config(namespace).install(self._chart.handle, name, values, labels=labels)
        return _release(made)

    def upgrade(self, namespace: str, name: str, values: Values, digest: str) -> Release:
        """Make the next revision. Does not wait for the workloads.

        Raises:
            FieldConflict: fields of live objects belong to someone else; `KubeClient.apply` takes them back.
        """
        with self._counted("upgrade"), _failures():
            made = self._config(namespace).upgrade(
                self._chart.handle,
                name,
                values,
                labels={DIGEST_LABEL: digest},
                max_history=MAX_HISTORY,
                reset_values=True,
            )
        return _release(made)

    def uninstall(self, namespace: str, name: str) -> None:
        """Remove the release with its objects and history; fine if it is gone already."""
        with self._counted("uninstall"), _failures():
            self._config(namespace).uninstall(name, ignore_not_found=True, timeout=_WAIT_SECONDS)

    def _config(self, namespace: str) -> helm_python.Config:
        with self._lock:
            if namespace not in self._configs:
                self._configs[namespace] = helm_python.Config(
                    namespace=namespace, qps=_QPS, burst_limit=_BURST
                )
            return self._configs[namespace]

    @contextmanager
    def _counted(self, operation: str) -> Iterator[None]:
        self._before_write()
        try:
            yield
        except Exception:
            self._count(operation, "error")
            raise
        self._count(operation, "success")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except helm_python.HelmError as error:
        # The SDK has no code for it: the text comes from the API server's 409 on an apply.
        kind = FieldConflict if "conflict occurred while applying" in str(error) else HelmFailure
        raise kind(str(error)) from error


def _release(summary: dict[str, Any]) -> Release:
    return Release(
        name=summary["name"],
        revision=summary["revision"],
        status=ReleaseStatus(summary["status"]),
        digest=summary.get("labels", {}).get(DIGEST_LABEL, ""),
        manifest=summary.get("manifest", ""),
    )
