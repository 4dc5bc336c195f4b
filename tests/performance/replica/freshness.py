"""How old data are when readers get them: pods of a real cluster, deployed by the operator, usual schedule.

A replay makes signals all the time. Another pod asks every replica again and again over HTTP, as readers do,
and notes when it first sees each commit of the master and each record of the topic `performance`. Both carry
the time at which they were made, by the clock that all pods share.
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
_RECORDS = (
    "SELECT signal_id || epoch_ms(recorded_at), epoch_ms(recorded_at) FROM performance"
    " WHERE recorded_at > (SELECT max(recorded_at) FROM performance) - INTERVAL 60 SECONDS"
)
_READER = """
import json, sys, time, urllib.request
addresses, queries, seconds, tail = json.loads(sys.argv[1])
def rows(address, sql):
    request = urllib.request.Request(f"http://{address}:8081/query", json.dumps({"sql": sql}).encode())
    return json.load(urllib.request.urlopen(request, timeout=20))["rows"]
started = time.time()
ages = [[] for _ in queries]
seen = set()
while time.time() < started + seconds + tail:
    for address in addresses:
        for kind, sql in enumerate(queries):
            found = rows(address, sql)
            now = time.time()
            for name, made_ms in found:
                if (address, kind, name) not in seen:
                    seen.add((address, kind, name))
                    if started <= made_ms / 1000 < started + seconds:
                        ages[kind].append(now - made_ms / 1000)
    time.sleep(0.05)
print(json.dumps(ages))
"""


def freshness(report: Report, seconds: int) -> None:
    """Measure for so many seconds how old commits and records are when a replica first answers with them."""
    progress = Progress()
    with product_cluster(progress) as cluster:
        with progress.step("A pipeline with a store and replicas"):
            cluster.apply(_RESOURCE)
        with progress.step(f"{seconds} s of reading"):
            commits, records = _ages(cluster, seconds)
    note = (
        f"{len(records)} records, from Kafka to the SQL of {_REPLICAS} replicas in their pods; "
        f"median {median(records):.1f} s, oldest {max(records):.1f} s"
    )
    report.add("freshness_p99", _p99(records), "s", note=note)
    note = f"{len(commits)} commits, from the master to the same; median {median(commits):.1f} s"
    report.add("commit_freshness_p99", _p99(commits), "s", note=note)


def _ages(cluster: ProductCluster, seconds: int) -> list[list[float]]:
    """Return the ages of commits and of records when each replica first answered with them, in seconds."""
    selector = "app.kubernetes.io/component=replica,stockpipeline.dev/pipeline=fresh"
    pods = json.loads(cluster.kubectl("get", "pods", "--selector", selector, "--output", "json"))["items"]
    addresses = [pod["status"]["podIP"] for pod in pods]
    if len(addresses) != _REPLICAS:
        raise RuntimeError(f"{len(addresses)} pods are replicas instead of {_REPLICAS}")
    task = json.dumps([addresses, [_COMMITS, _RECORDS], seconds, _TAIL_SECONDS])
    command = ("exec", "deployment/fresh-detector", "--", "python3", "-c", _READER, task)
    output = cluster.kubectl(*command, seconds=seconds + _TAIL_SECONDS + 120)
    ages: list[list[float]] = json.loads(output)
    if not all(ages):
        counts = ", ".join(str(len(found)) for found in ages)
        raise RuntimeError(f"of commits and records, {counts} were made in the measured time and readable")
    return ages


def _p99(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
