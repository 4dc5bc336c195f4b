"""`make load`: brings the pipeline, lets readers and kills loose on it, and writes what happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from cluster import deploy, environment, prerequisites, side_environments
from cluster.backend import Cluster
from cluster.load import counted, faults, readers, report
from cluster.load.choice import Choice
from cluster.load.figures import (
    COMMIT_TO_READABLE,
    SUBJECTS,
    TICK_TO_SIGNAL,
    Prometheus,
    finished,
)
from cluster.load.readers import Reads
from cluster.load.report import Measured
from cluster.load.resource import NAME, NAMESPACE, pipeline
from cluster.observe import apply, kubectl
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import run, wait_until
from cluster.up import cluster_of

_START_TIMEOUT = 180.0
# For what the readers, the kills and the replay still do when their time is over: a killed producer goes on
# where it was, and does not hurry.
_END_TIMEOUT = 900.0
# Prometheus asks every 5 seconds: what comes after the last tick is seen by then.
_SEEN_AFTER = 10.0


def load(settings: Settings, choice: Choice, progress: Progress) -> int:
    """Run a load and write build/load/PROFILE.md, .json and .png; return 0 if nothing was lost or doubled.

    Raises:
        RuntimeError: there is no cluster, or the readers failed.
        TimeoutError: something did not become ready, or did not end.
    """
    cluster = cluster_of(settings)
    if not cluster.running():
        raise RuntimeError(f"the cluster {settings.name} is not running: run `make up` first")
    prerequisites.install((), progress)
    environment.ensure(settings, progress)
    python = side_environments.ensure(settings, side_environments.PLOT, progress)
    measured = _measure(settings, cluster, choice, progress)
    document, text, picture = report.write(measured, settings.repo / "build" / "load")
    with progress.step("Draw the picture"):
        run(
            [python, "-m", "cluster.load.plot", document, picture],
            cwd=settings.repo,
            env=side_environments.tree_path(settings),
        )
    print(f"\n{text.read_text().split('![', 1)[0]}{text.relative_to(settings.repo)} has it with a picture")
    return 0 if measured.counted.exact else 1


def _measure(settings: Settings, cluster: Cluster, choice: Choice, progress: Progress) -> Measured:
    prometheus = Prometheus(f"http://127.0.0.1:{settings.prometheus_port}")
    resource = pipeline(choice)
    start = time.time()
    with _deployed(cluster, resource, progress):
        reads, kills = _under_load(cluster, choice, progress)
        with progress.step("Wait until the last tick is processed"):
            wait_until(
                lambda: prometheus.value(finished()) is not None,
                _END_TIMEOUT,
                f"the replay of {NAMESPACE}/{NAME} has ended and all of its ticks are processed",
            )
        end = time.time()
        time.sleep(_SEEN_AFTER)
        seconds = time.time() - start
        tick_to_signal = prometheus.buckets(TICK_TO_SIGNAL, time.time(), seconds)
        commit_to_readable = prometheus.buckets(COMMIT_TO_READABLE, time.time(), seconds)
        lines = {key: prometheus.lines(subject, start, end) for key, subject in SUBJECTS.items()}
        with progress.step("Count what was lost or doubled"):
            found = counted.count(settings, cluster, resource)
    return Measured(choice, start, end, tick_to_signal, commit_to_readable, lines, reads, tuple(kills), found)


@contextmanager
def _deployed(cluster: Cluster, resource: dict[str, Any], progress: Progress) -> Iterator[None]:
    """Have the pipeline; what an earlier load left is removed before, and all of it after."""
    _remove(cluster)
    try:
        with progress.step(f"Bring the pipeline {NAMESPACE}/{NAME}"):
            apply(cluster, resource)
            wait_until(
                lambda: deploy.is_ready(cluster, NAMESPACE, NAME),
                _START_TIMEOUT,
                f"StockPipeline {NAMESPACE}/{NAME} is ready (see `kubectl describe stockpipeline {NAME}`)",
            )
        yield
    finally:
        with progress.step("Remove the pipeline"):
            _remove(cluster)


def _remove(cluster: Cluster) -> None:
    readers.remove(cluster)
    kubectl(
        cluster, "delete", "stockpipeline", NAME, "--namespace", NAMESPACE,
        "--ignore-not-found", "--timeout=300s", timeout=330,
    )  # fmt: skip


def _under_load(cluster: Cluster, choice: Choice, progress: Progress) -> tuple[Reads, list[faults.Fault]]:
    planned = faults.plan(choice.seconds) if choice.profile == "faults" else ()
    stop = threading.Event()
    with (
        progress.step(
            f"Load for {choice.minutes:g} minutes: {choice.profile}, {choice.rate:g} ticks a second"
        ),
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        readers.start(cluster, choice)
        kills = pool.submit(faults.inject, cluster, planned, time.monotonic(), stop, progress)
        try:
            wait_until(
                lambda: kills.done() and readers.phase(cluster) in ("Succeeded", "Failed"),
                choice.seconds + _END_TIMEOUT,
                "the readers and the kills have ended",
            )
        finally:
            stop.set()
        return readers.result(cluster), kills.result()
