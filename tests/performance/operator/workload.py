"""Pipelines by the hundred: made, changed and watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import DEPLOYMENT, STOCK_PIPELINE

NAMESPACES = tuple(f"bench-{number}" for number in range(10))
_WRITERS = 8
_LOOK_SECONDS = 0.5
_STILL_SECONDS = 15.0

Key = tuple[str, str]


def keys(count: int) -> list[Key]:
    """Namespace and name of so many pipelines, spread evenly."""
    return [(NAMESPACES[number % len(NAMESPACES)], f"bench-{number:04}") for number in range(count)]


def resource(key: Key) -> Object:
    """A suspended pipeline."""
    namespace, name = key
    return {
        "apiVersion": STOCK_PIPELINE.api_version,
        "kind": STOCK_PIPELINE.kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "suspend": True,
            "universe": {"symbols": ["AAPL", "IBM", "MSFT", "GOOG"]},
            "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
        },
    }


def make_namespaces(client: KubeClient) -> None:
    """Make the namespaces that the pipelines are in."""
    for name in NAMESPACES:
        client.create("/api/v1/namespaces", {"metadata": {"name": name}})


def create(client: KubeClient, wanted: list[Key]) -> None:
    """Make pipelines as fast as the API server takes them."""
    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(lambda key: client.create(STOCK_PIPELINE.path(key[0]), resource(key)), wanted):
            pass


def is_ready(found: Object) -> bool:
    """Whether the operator is done with the newest generation of a suspended pipeline."""
    status = found.get("status", {})
    ready: Object = next((one for one in status.get("conditions", ()) if one["type"] == "Ready"), {})
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and ready.get("reason") == "Suspended"
        and status.get("release", {}).get("revision", 0) > 0
    )


def wait_until_ready(client: KubeClient, count: int, seconds: float, say: Callable[[str], None]) -> None:
    """Wait until so many pipelines are ready.

    Raises:
        TimeoutError: they are not after so many seconds.
    """
    deadline, next_word = time.monotonic() + seconds, time.monotonic() + 10
    while True:
        began = time.monotonic()
        ready = sum(map(is_ready, _all(client)))
        now = time.monotonic()
        if ready >= count:
            return
        if now > deadline:
            raise TimeoutError(f"after {seconds:.0f} s, {ready} of {count} pipelines are ready")
        if now > next_word:
            say(f"{ready} of {count} are ready")
            next_word = now + 10
        # Looking must not slow down what is looked at.
        time.sleep(max(_LOOK_SECONDS, 5 * (now - began)))


def wait_until_still(client: KubeClient, seconds: float) -> None:
    """Wait until Kubernetes' own controllers are done with the pipelines' Deployments.

    They make few requests a second, and go on for minutes after a thousand pipelines are applied.

    Raises:
        TimeoutError: they are not after so many seconds.
    """
    deadline = time.monotonic() + seconds
    before, since = _versions(client), time.monotonic()
    while time.monotonic() < since + _STILL_SECONDS:
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s, Deployments still change")
        time.sleep(1.0)
        now = _versions(client)
        if now != before:
            before, since = now, time.monotonic()


def change(client: KubeClient, key: Key, number: int) -> float:
    """Give a pipeline another list of symbols; return the seconds until the change is applied."""
    path = STOCK_PIPELINE.path(*key)
    started = time.monotonic()
    client.merge(path, {"spec": {"universe": {"symbols": ["AAPL", f"X{number}"]}}})
    while True:
        found = client.get(path)
        if found is not None and is_ready(found):
            return time.monotonic() - started
        time.sleep(0.02)


def _all(client: KubeClient) -> Iterator[Object]:
    for namespace in NAMESPACES:
        yield from client.list(STOCK_PIPELINE.path(namespace))


def _versions(client: KubeClient) -> set[tuple[str, str]]:
    """The version of every Deployment."""
    found = (
        one["metadata"]
        for name in NAMESPACES
        for one in client.list(DEPLOYMENT.path(name), metadata_only=True)
    )
    return {(metadata["uid"], metadata["resourceVersion"]) for metadata in found}
