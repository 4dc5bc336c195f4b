"""Kills pods while the load goes on, in turn, and notes how long each takes to be replaced."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.backend import Cluster
from cluster.deploy import BACKENDS_NAMESPACE
from cluster.load.resource import NAME, NAMESPACE
from cluster.observe import kubectl
from cluster.progress import Progress
from cluster.shell import CommandError, wait_until

# Between two kills a detector has time to come back and to catch up, and Prometheus to see it.
_FIRST, _BETWEEN, _CALM_END = 20.0, 40.0, 15.0
_PATIENCE = 180.0
# The order of the kills. The broker is not the last, so that short loads have it too.
VICTIMS = ("detector", "producer", "kafka", "store", "replica")


@dataclass(frozen=True)
class Planned:
    """A kill: seconds after the begin of the load, and the component."""

    after: float
    victim: str


@dataclass(frozen=True)
class Fault:
    """A kill that was made: when (seconds since the epoch), and seconds until another pod was ready."""

    at: float
    victim: str
    pod: str
    ready_after: float


@dataclass(frozen=True)
class Pod:
    """A pod as the kills see it."""

    name: str
    uid: str
    ready: bool


def plan(seconds: float) -> tuple[Planned, ...]:
    """Return the kills of a load that takes so many seconds; the end of it is left calm."""
    count = max(0, int((seconds - _FIRST - _CALM_END) // _BETWEEN) + 1)
    return tuple(
        Planned(_FIRST + number * _BETWEEN, VICTIMS[number % len(VICTIMS)]) for number in range(count)
    )


def inject(
    cluster: Cluster, planned: Sequence[Planned], begin: float, stop: threading.Event, progress: Progress
) -> list[Fault]:
    """Make the kills at their times after `begin` (monotonic), one after the other; return what was done.

    A pod that comes back late delays the next kill, for two at once would say nothing of each. `stop`
    ends it.

    Raises:
        TimeoutError: no other pod became ready.
    """
    made: list[Fault] = []
    for one in planned:
        if stop.wait(max(0.0, begin + one.after - time.monotonic())):
            break
        fault = _kill(cluster, one.victim)
        made.append(fault)
        progress.note(f"killed {fault.pod}: another one was ready after {fault.ready_after:.1f} s")
    return made


def _kill(cluster: Cluster, victim: str) -> Fault:
    namespace, _ = _place(victim)
    wait_until(lambda: _all_ready(_pods(cluster, victim)), _PATIENCE, f"all pods of the {victim} are ready")
    before = _pods(cluster, victim)
    target = before[0]
    at, began = time.time(), time.monotonic()
    kubectl(
        cluster, "delete", "pod", target.name, "--namespace", namespace,
        "--grace-period=0", "--force", "--wait=false",
    )  # fmt: skip

    def replaced() -> bool:
        now = _pods(cluster, victim)
        return len(now) == len(before) and _all_ready(now) and target.uid not in {pod.uid for pod in now}

    wait_until(replaced, _PATIENCE, f"another pod in the place of {target.name} is ready")
    return Fault(at, victim, target.name, time.monotonic() - began)


def _all_ready(pods: Sequence[Pod]) -> bool:
    return bool(pods) and all(pod.ready for pod in pods)


def _place(victim: str) -> tuple[str, str]:
    """Return the namespace and the selector of a component's pods."""
    component = f"app.kubernetes.io/component={victim}"
    if victim == "kafka":
        return BACKENDS_NAMESPACE, component
    return NAMESPACE, f"{component},stockpipeline.dev/pipeline={NAME}"


def _pods(cluster: Cluster, victim: str) -> list[Pod]:
    namespace, selector = _place(victim)
    try:
        listed = kubectl(
            cluster, "get", "pods", "--namespace", namespace, "--selector", selector, "--output", "json"
        )
    except CommandError:  # a busy API server must not end the load
        return []
    return [parsed(item) for item in json.loads(listed)["items"]]


def parsed(item: Mapping[str, Any]) -> Pod:
    """Return what matters of a pod as the API has it."""
    conditions = {one["type"]: one["status"] for one in item["status"].get("conditions", [])}
    return Pod(item["metadata"]["name"], item["metadata"]["uid"], conditions.get("Ready") == "True")
