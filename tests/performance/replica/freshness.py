"""How old data are when readers get them: pods of a real cluster, deployed by the operator, usual schedule.

A replay makes signals all the time. Another pod asks every replica again and again over HTTP, as readers do,
and notes when it first sees each commit of the master, which has its time by the clock that all pods share.
"""

from __future__ import annotations

import json
from typing import Any

from cluster.progress import Progress
from tests.performance.replica.masters import median
from tests.performance.replica.product_cluster import ProductCluster, product_cluster
from tests.performance.report import Report

_REPLICAS = 2
# For what was made at the end of the measured time to become readable, however late.
_TAIL_SECONDS = 30
_RESOURCE: dict[str, Any] = {
    "apiVersion": "stockpipeline.dev/v1alpha1",
    "kind": "StockPipeline",
    "metadata": {"name": "fresh", "namespace": "default"},
    "spec": {
        "universe": {"symbols": ["AAPL", "IBM", "MSFT", "GOOG"]},
        "sources": [
            {"name": "replay", "replay": {"start": "2008-09-02", "speed": 60_000, "ticksPerBar": 30}}
        ],
        "store": {"size": "1Gi"},
        "replicaSync": {"replicas": _REPLICAS},
    },
}
_COMMITS = "SELECT number, epoch_ms(committed_at) FROM meta.commits ORDER BY number DESC LIMIT 50"
_READER = """
import json, sys, time, urllib.request
addresses, sql, seconds, tail = json.loads(sys.argv[1])
def rows(address):
    request = urllib.request.Request(f"http://{address}:8081/query", json.dumps({"sql": sql}).encode())
    return json.load(urllib.request.urlopen(request, timeout=20))["rows"]
started = time.time()
ages = []
seen = set()
while time.time() < started + seconds + tail:
    for address in addresses:
        found = rows(address)
        now = time.time()
        for number, made_ms in found:
            if (address, number) not in seen:
                seen.add((address, number))
                if started <= made_ms / 1000 < started + seconds:
                    ages.append(now - made_ms / 1000)
    time.sleep(0.05)
print(json.dumps(ages))
"""


def freshness(report: Report, seconds: int) -> None:
    """Measure for so many seconds how old each commit is when a replica first answers with it."""
    progress = Progress()
    with product_cluster(progress) as cluster:
        with progress.step("A pipeline with a store and replicas"):
            cluster.apply(_RESOURCE)
        with progress.step(f"{seconds} s of reading"):
            ages = _ages(cluster, seconds)
    note = (
        f"from a commit to the SQL of {_REPLICAS} replicas in their pods, {len(ages)} times; "
        f"median {median(ages):.1f} s, oldest {max(ages):.1f} s"
    )
    report.add("freshness_p99", _p99(ages), "s", note=note)


def _ages(cluster: ProductCluster, seconds: int) -> list[float]:
    """Return the ages of commits when each replica first answered with them, in seconds."""
    selector = "app.kubernetes.io/component=replica,stockpipeline.dev/pipeline=fresh"
    pods = json.loads(cluster.kubectl("get", "pods", "--selector", selector, "--output", "json"))["items"]
    addresses = [pod["status"]["podIP"] for pod in pods]
    if len(addresses) != _REPLICAS:
        raise RuntimeError(f"{len(addresses)} pods are replicas instead of {_REPLICAS}")
    task = json.dumps([addresses, _COMMITS, seconds, _TAIL_SECONDS])
    command = ("exec", "deployment/fresh-detector", "--", "python3", "-c", _READER, task)
    output = cluster.kubectl(*command, seconds=seconds + _TAIL_SECONDS + 120)
    ages: list[float] = json.loads(output)
    if not ages:
        raise RuntimeError("no commit of the measured time became readable")
    return ages


def _p99(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
