"""Clients that ask the pipeline's replicas by SQL, in a pod of their own: so they reach them as others do."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.backend import Cluster
from cluster.load.choice import Choice
from cluster.load.histogram import percentile
from cluster.load.resource import NAME, NAMESPACE
from cluster.observe import apply, kubectl
from cluster.shell import CommandError

POD = f"{NAME}-readers"
CLIENTS = 4
_PROGRAM = Path(__file__).parent / "pod" / "reader.py"


@dataclass(frozen=True)
class Window:
    """What was asked in the few seconds from `at` (since the epoch) on; delays are those of the answered."""

    at: float
    requests: int
    failed: int
    buckets: dict[float, float]
    """How many delays were at most so many milliseconds."""
    errors: dict[str, int]


@dataclass(frozen=True)
class Reads:
    """All that was asked."""

    windows: tuple[Window, ...]

    @classmethod
    def parse(cls, text: str) -> Reads:
        """Read what the pod printed."""
        found = json.loads(text)
        return cls(tuple(_window(found["bounds"], one) for one in found["windows"]))

    @property
    def requests(self) -> int:
        """How often a replica was asked."""
        return sum(window.requests for window in self.windows)

    @property
    def failed(self) -> int:
        """How often there was no good answer."""
        return sum(window.failed for window in self.windows)

    @property
    def errors(self) -> dict[str, int]:
        """Failures by kind."""
        total: Counter[str] = Counter()
        for window in self.windows:
            total.update(window.errors)
        return dict(total)

    def delay(self, share: float) -> float | None:
        """Return the milliseconds that a share of the answers took at most."""
        total: Counter[float] = Counter()
        for window in self.windows:
            total.update(window.buckets)
        return percentile(total, share)


def _window(bounds: list[float], found: dict[str, Any]) -> Window:
    counts = {int(index): count for index, count in found["delays"].items()}
    cumulative, total = {}, 0
    for index, bound in enumerate(bounds):
        total += counts.get(index, 0)
        cumulative[bound] = float(total)
    return Window(found["at"], found["requests"], found["failed"], cumulative, found["errors"])


def manifest(choice: Choice, image: str) -> dict[str, Any]:
    """Return the pod; `image` is that of the services, which has Python."""
    task = {
        "address": f"{NAME}-replica:8081",
        "clients": CLIENTS,
        "reads": choice.reads,
        "seconds": choice.seconds,
    }
    container = {
        "name": "readers",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", _PROGRAM.read_text(encoding="utf-8"), json.dumps(task)],
        "resources": {
            "requests": {"cpu": "20m", "memory": "32Mi"},
            "limits": {"cpu": "1", "memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": POD,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": POD},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }


def start(cluster: Cluster, choice: Choice) -> None:
    """Start the pod, with the image that the pipeline's detector runs."""
    image = kubectl(
        cluster, "get", "deployment", f"{NAME}-detector", "--namespace", NAMESPACE,
        "--output", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    apply(cluster, manifest(choice, image))


def phase(cluster: Cluster) -> str:
    """Return the phase of the pod; "" where that cannot be known just now."""
    try:
        return kubectl(
            cluster, "get", "pod", POD, "--namespace", NAMESPACE, "--output", "jsonpath={.status.phase}"
        )
    except CommandError:
        return ""


def result(cluster: Cluster) -> Reads:
    """Return what the readers found; they have ended.

    Raises:
        RuntimeError: they failed; the message is what they said.
    """
    said = kubectl(cluster, "logs", POD, "--namespace", NAMESPACE)
    if phase(cluster) != "Succeeded":
        raise RuntimeError(f"the readers failed:\n{said[-2000:]}")
    return Reads.parse(said)


def remove(cluster: Cluster) -> None:
    """Remove the pod, if it is there."""
    kubectl(cluster, "delete", "pod", POD, "--namespace", NAMESPACE, "--ignore-not-found", "--grace-period=1")
