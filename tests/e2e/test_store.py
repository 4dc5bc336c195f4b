"""Signals on their way into the store and to its replicas, on a real cluster."""

from __future__ import annotations

import json
from typing import Any

from cluster.shell import wait_until
from tests.e2e.conftest import Deployment, pipeline, replay
from tests.e2e.test_story import APPEAR_TIMEOUT, FINISH_TIMEOUT, expected, pods, wait_finished

COLUMNS = ("id", "symbol", "rule", "side", "price")


def ask(deployment: Deployment, namespace: str, name: str, sql: str) -> list[list[Any]] | None:
    """Ask a replica over HTTP as other pods do; None while none answers."""
    program = (
        "import json, sys, urllib.request as r;"
        f"print(r.urlopen(r.Request('http://{name}-replica:8081/query',"
        " json.dumps({'sql': sys.argv[1]}).encode()), timeout=20).read().decode())"
    )
    command = ("exec", "-n", namespace, f"deployment/{name}-detector", "--", "python3", "-c", program, sql)
    output = deployment.kubectl(*command, check=False)
    return json.loads(output)["rows"] if output else None


def test_signals_reach_replicas_through_kills_of_the_writer(deployment: Deployment, namespace: str) -> None:
    resource = pipeline(
        namespace,
        "stored",
        sources=[replay(speed=60_000, ticksPerBar=30)],
        store={"size": "1Gi"},
        replicaSync={"replicas": 2, "schedule": {"publish": "1s", "pull": "1s"}},
    )
    deployment.apply(resource)
    deployment.wait_ready(namespace, "stored")
    status = deployment.get("stockpipeline", "stored", "--namespace", namespace)["status"]
    assert {one["name"]: (one["ready"], one["desired"]) for one in status["components"]} == {
        "producer": (1, 1), "detector": (1, 1), "store": (1, 1), "replica": (2, 2)
    }  # fmt: skip

    def some() -> bool:
        counted = ask(deployment, namespace, "stored", "SELECT count(*) FROM signals")
        return counted is not None and counted[0][0] > 0

    wait_until(some, FINISH_TIMEOUT, "signals are readable on a replica")
    (writer,) = [
        pod["metadata"]["name"]
        for pod in pods(deployment, namespace, "stored")
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "store"
    ]
    deployment.kubectl("delete", "pod", writer, "--namespace", namespace, "--grace-period=0", "--force")
    deployment.wait_ready(namespace, "stored")
    wait_finished(deployment, namespace, "stored")

    in_kafka = sorted(
        [signal[column] for column in COLUMNS] for signal in deployment.signals(namespace, "stored")
    )
    assert len(in_kafka) == len(expected(resource))
    sql = f"SELECT {', '.join(COLUMNS)} FROM signals"

    def all_are_there() -> bool:
        found = ask(deployment, namespace, "stored", sql)
        return found is not None and sorted(found) == in_kafka

    wait_until(all_are_there, FINISH_TIMEOUT, "a replica has exactly the signals that Kafka has")

    def following() -> bool:
        condition = deployment.condition(namespace, "stored", "ReplicasFresh")
        return condition is not None and (condition["status"], condition["reason"]) == ("True", "Following")

    wait_until(following, APPEAR_TIMEOUT, "both replicas follow")
    selector = "stockpipeline.dev/pipeline=stored"
    assert deployment.get("persistentvolumeclaims", "-n", namespace, "-l", selector)["items"]
    deployment.kubectl("delete", "stockpipeline", "stored", "--namespace", namespace, "--timeout=120s")
    wait_until(
        lambda: not deployment.get("persistentvolumeclaims", "-n", namespace, "-l", selector)["items"],
        APPEAR_TIMEOUT,
        "the volume is gone with the pipeline",
    )
