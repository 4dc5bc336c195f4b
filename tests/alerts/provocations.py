"""What is done to pipelines so that alerts fire, each to pipelines of its own, all at the same time."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from cluster.deploy import BACKENDS_NAMESPACE, OPERATOR_RELEASE, SYSTEM_NAMESPACE
from cluster.settings import REPO
from stockpipeline.adapters.kubernetes_api import Access, KubernetesApi, KubernetesUnreachable
from tests.alerts import market
from tests.e2e.conftest import Deployment
from tests.node import Pod, small_disk

DESK = "alerts-desk"
TIGHT = "alerts-tight"
"""A namespace whose quota has no room for a Deployment."""
SECOND, ELSEWHERE = "alerts-second", "alerts-elsewhere"
"""The namespace of a second operator, and the one that it serves."""
PATIENCE = 240.0
_LOOK_SECONDS = 3.0
START_PATIENCE = 420.0
SYMBOLS = ["AAPL", "IBM", "MSFT", "GOOG"]
# About 25,000 ticks a second for half an hour: a detector with 3 % of a core takes less.
FAST = {"start": "2005-01-03", "speed": 39_000, "ticksPerBar": 6000}
CALM = {"start": "2005-01-03", "speed": 12_000, "ticksPerBar": 30}
_USER = 10001
# Redis has 128 MiB: nine tenths and a bit, and what other pipelines need is still there.
_BALLAST_MIB = 116
# A little less than a MiB each: its allocator has few sizes above that.
_BALLAST = "for i = 1, ARGV[1] do redis.call('setrange', 'ballast:' .. i, 1040000, 'x') end"
KAFKA = ("OUTPUT", "--protocol", "tcp", "--dport", "9092")
_CLOCK = [{"name": "PYTHONPATH", "value": market.FOLDER}]
_GENERATIONS = "/var/lib/stockpipeline/store/generations"
# Programs that run in the pods of a pipeline.
_KAFKA = """
import sys
from pathlib import Path
from stockpipeline.cli.config_file import load_config
topic, servers = sys.argv[1], load_config(Path("/etc/stockpipeline/pipeline.json")).bootstrap_servers
"""
_STRANGE_RECORD = f"""{_KAFKA}
from confluent_kafka import Producer
producer = Producer({{"bootstrap.servers": servers}})
producer.produce(topic, b"no signal", b"IBM")
assert producer.flush(30) == 0
"""
_DELETE_RECORDS = f"""{_KAFKA}
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient
admin = AdminClient({{"bootstrap.servers": servers}})
partitions = admin.list_topics(topic, timeout=20).topics[topic].partitions
ends = [TopicPartition(topic, partition, OFFSET_END) for partition in partitions]
for deleted in admin.delete_records(ends).values():
    deleted.result(20)
"""
_STRANGE_DELIVERY = f"""
from pathlib import Path
waiting = Path("{_GENERATIONS}/deliveries/waiting")
waiting.mkdir(parents=True, exist_ok=True)
(waiting / "000000000001.json").write_text("no delivery")
"""
_DAMAGE = """
from pathlib import Path
file = Path("/var/lib/stockpipeline/replica/current").resolve()
file.chmod(0o644)
with file.open("r+b") as stream:
    stream.seek(file.stat().st_size // 2)
    stream.write(b"damage" * 100)
"""


class Desk:
    """The pipelines that trouble is made for, beside healthy ones."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.ahead = market.ahead()
        self._starting = threading.Semaphore(3)
        self._api = KubernetesApi(Access.of_kubeconfig(deployment.kubeconfig))
        self.over = threading.Event()
        """Set when what goes on and on has to end."""

    def apply(self, name: str, namespace: str = DESK, **spec: Any) -> None:
        """Apply a pipeline that replays calmly, with `spec` put over it."""
        whole = {
            "universe": {"symbols": SYMBOLS},
            "sources": [{"name": "replay", "replay": CALM}],
            "producer": {},
            "detector": {},
            **spec,
        }
        # As many as here must find room on one node of two cores.
        for component in ("producer", "detector", "store", "replicaSync"):
            if component in whole:
                whole[component] = {"resources": {"requests": {"cpu": "5m"}}, **whole[component]}
        self.deployment.apply(
            {
                "apiVersion": "stockpipeline.dev/v1alpha1",
                "kind": "StockPipeline",
                "metadata": {"name": name, "namespace": namespace},
                "spec": whole,
            }
        )

    def start(self, name: str, **spec: Any) -> None:
        """Apply a pipeline and wait until it is ready, a few at a time: more would be in each other's way."""
        with self._starting:
            self.apply(name, **spec)
            self.ready(name)

    def ready(self, name: str, namespace: str = DESK) -> None:
        """Wait until a pipeline is ready."""
        self.wait(partial(self._is_ready, namespace, name), START_PATIENCE, f"{namespace}/{name} is ready")

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Look now and then until it holds: many do so at the same time, and each look costs something.

        Raises:
            TimeoutError: it does not hold in time, or all is over.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if self.over.wait(_LOOK_SECONDS) or time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:g} s: {what}")

    def _is_ready(self, namespace: str, name: str) -> bool:
        path = f"/apis/stockpipeline.dev/v1alpha1/namespaces/{namespace}/stockpipelines/{name}"
        try:
            found = self._api.get(path)
        except KubernetesUnreachable:  # a busy machine
            return False
        if found is None:
            return False
        conditions = found.get("status", {}).get("conditions", ())
        return any(
            (one["type"], one["status"]) == ("Ready", "True")
            and one["observedGeneration"] == found["metadata"]["generation"]
            for one in conditions
        )

    def pod(self, name: str, component: str) -> Pod:
        selector = f"stockpipeline.dev/pipeline={name},app.kubernetes.io/component={component}"
        return Pod.only(self.deployment, DESK, selector)

    def run(self, name: str, component: str, program: str, *words: str) -> str:
        """Run a Python program in a pod of a pipeline."""
        target = ("--namespace", DESK, f"deployment/{name}-{component}", "--container", component)
        return self.deployment.kubectl("exec", *target, "--", "python3", "-c", program, *words)

    def value(self, metric: str, name: str, **labels: str) -> float:
        """The sum of a metric of a pipeline; 0 where there is none."""
        wanted = "".join(f', {label}="{value}"' for label, value in labels.items())
        query = f'sum({metric}{{namespace="{DESK}", pipeline="{name}"{wanted}}})'
        return self.deployment.value(query) or 0.0


def source_gone(desk: Desk) -> None:
    """The only source of a pipeline goes in the middle of a session."""
    desk.start("quiet", sources=[market.source("kis")], producer={"env": _CLOCK})
    market.open_for(desk.deployment, DESK, "quiet", desk.ahead)
    desk.wait(
        lambda: desk.value("stockpipeline_producer_ticks_total", "quiet") > 0, PATIENCE, "ticks come of KIS"
    )
    desk.deployment.kubectl("scale", "deployment/kis", "--namespace", market.NAMESPACE, "--replicas=0")


def source_back(desk: Desk) -> None:
    """It comes back."""
    desk.deployment.kubectl("scale", "deployment/kis", "--namespace", market.NAMESPACE, "--replicas=1")


def source_broken(desk: Desk) -> None:
    """A source sends what is no tick, and refuses to be asked so often."""
    symbols = [f"S{number:03d}" for number in range(60)]  # more than KIS follows on one connection
    desk.start(
        "garbled",
        universe={"symbols": symbols},
        sources=[market.source("broken-kis")],
        # Producers on one Redis share what KIS grants them, and this is another KIS.
        redis={"url": "redis://redis.stockpipeline-backends.svc:6379/1"},
        producer={"env": _CLOCK},
    )
    market.open_for(desk.deployment, DESK, "garbled", desk.ahead)


def detector_starved(desk: Desk) -> None:
    """Ticks come faster than a detector takes them that has hardly any processor."""
    desk.start("starved", sources=[{"name": "replay", "replay": FAST}])
    desk.pod("starved", "detector").starve("detector", 0.03)


def detector_cut_off(desk: Desk) -> None:
    """A detector that is behind loses its way to Kafka."""
    desk.start("cut", sources=[{"name": "replay", "replay": {**FAST, "end": "2005-07-29"}}])
    pod = desk.pod("cut", "detector")
    pod.starve("detector", 0.03)
    desk.wait(
        lambda: desk.value("stockpipeline_detector_lag_records", "cut") > 50_000, PATIENCE, "it is behind"
    )
    pod.cut(*KAFKA)


def detector_back(desk: Desk) -> None:
    """Its way is free again, and it has its processor."""
    pod = desk.pod("cut", "detector")
    pod.mend(*KAFKA)
    pod.starve("detector", 1.0)


def producer_killed(desk: Desk) -> None:
    """A producer is killed again and again, and Prometheus cannot reach a detector that is well."""
    desk.start("crashing")
    prometheus = Pod.only(desk.deployment, BACKENDS_NAMESPACE, "app.kubernetes.io/component=prometheus")
    desk.pod("crashing", "detector").cut(
        "INPUT", "--protocol", "tcp", "--dport", "8080", "--source", prometheus.address
    )
    while (before := _restarts(desk)) < 5:
        desk.pod("crashing", "producer").kill("producer")
        desk.wait(partial(_restarted, desk, before), PATIENCE, "it is started again")
        time.sleep(10)  # two scrapes, or Prometheus would not see each


def detectors_come_and_go(desk: Desk) -> None:
    """Of two detectors, the younger one is replaced again and again."""
    desk.start("shuffled", kafka={"partitions": 4}, scaling={"detector": {"replicas": 2}})
    selector = "stockpipeline.dev/pipeline=shuffled,app.kubernetes.io/component=detector"
    while not desk.over.wait(5) and desk.value("stockpipeline_detector_rebalances_total", "shuffled") < 60:
        pods = desk.deployment.get("pods", "--namespace", DESK, "--selector", selector)["items"]
        if len(pods) == 2 and all(_is_ready(pod) for pod in pods):
            newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
            target = ("pod", newest["metadata"]["name"], "--namespace", DESK, "--wait=false")
            desk.deployment.kubectl("delete", *target, check=False)


def store_torn(desk: Desk) -> None:
    """A replica's file is damaged, strangers write to topic and deliveries; then generations are gone."""
    schedule = {"publish": "2s", "pull": "2s", "scrub": "20s"}
    desk.start("torn", store={"size": "1Gi"}, replicaSync={"replicas": 1, "schedule": schedule})
    desk.wait(
        lambda: desk.value("stockpipeline_replica_generation", "torn") > 1, PATIENCE, "generations are pulled"
    )
    desk.run("torn", "detector", _STRANGE_RECORD, f"{DESK}.torn.signals")
    desk.run("torn", "store", _STRANGE_DELIVERY)

    def found() -> bool:
        desk.run("torn", "replica", _DAMAGE)  # again, for a new generation may have come in between
        time.sleep(5)
        return desk.value("stockpipeline_replica_verify_failures_total", "torn") > 0

    desk.wait(found, PATIENCE, "the damage is found")
    desk.run("torn", "store", f"import os; os.chmod('{_GENERATIONS}', 0)")


def store_mended(desk: Desk) -> None:
    """The generations are there again."""
    desk.run("torn", "store", f"import os; os.chmod('{_GENERATIONS}', 0o755)")


def store_in_trouble(desk: Desk) -> None:
    """Kafka deletes records while a store cannot reach it; later its disk fills up."""
    desk.start("late", store={"size": "1Gi"})
    _lose_records(desk)
    claim = desk.deployment.get("persistentvolumeclaim", "late-store", "--namespace", DESK)
    volume = desk.deployment.get("persistentvolume", claim["spec"]["volumeName"])
    folder = Path(volume["spec"]["local"]["path"])
    with small_disk(folder, "32m", _USER):
        pod = desk.pod("late", "store").name
        desk.deployment.kubectl("delete", "pod", pod, "--namespace", DESK, "--timeout=90s")
        desk.ready("late")
        desk.wait(
            lambda: 0 < desk.value("stockpipeline_store_free_bytes", "late") < 40e6, PATIENCE, "a small disk"
        )
        with (folder / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(65536))
        desk.over.wait()


def contested(desk: Desk) -> None:
    """Somebody changes an object of a pipeline again and again."""
    desk.apply("contested", suspend=True)
    desk.wait(
        lambda: bool(
            desk.deployment.kubectl("get", "networkpolicy", "contested", "--namespace", DESK, check=False)
        ),
        PATIENCE,
        "its objects are there",
    )
    change = json.dumps({"spec": {"policyTypes": ["Egress"]}})
    target = ("networkpolicy", "contested", "--namespace", DESK, "--type=merge", f"--patch={change}")
    while not desk.over.wait(8):
        desk.deployment.kubectl("patch", *target, check=False)


def never_ready(desk: Desk) -> None:
    """A pipeline names a Kafka that is not there."""
    desk.apply("nowhere", kafka={"bootstrapServers": "kafka.nowhere.svc:9092"})


def needs_a_person(desk: Desk) -> None:
    """A pipeline asks for an indicator that there is not."""
    indicator = {"name": "rsi", "function": "RSJ", "parameters": {"timeperiod": 14}}
    rule = {"name": "low", "side": "buy", "when": "rsi < 30"}
    desk.apply("broken", indicators=[indicator], rules=[rule])


def refused_by_quota(desk: Desk) -> None:
    """The API server refuses what a release is made of."""
    desk.deployment.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "tight", "namespace": TIGHT},
            "spec": {"hard": {"count/deployments.apps": "0"}},
        }
    )
    desk.apply("refused", namespace=TIGHT)


def lease_taken(desk: Desk) -> None:
    """A second operator never gets its Lease: somebody else has it, and keeps it."""
    held = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "second", "namespace": SECOND},
    }

    def hold() -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": "somebody",
            "leaseDurationSeconds": 15,
            "renewTime": now,
            "acquireTime": now,
        }
        desk.deployment.apply({**held, "spec": spec})

    hold()
    values = json.loads(
        desk.deployment.helm(
            "get", "values", OPERATOR_RELEASE, "--namespace", SYSTEM_NAMESPACE, "--output=json"
        )
    )
    values |= {"crd": {"install": False}, "replicas": 1, "watchNamespaces": [ELSEWHERE]}
    file = REPO / "build" / "second-operator.json"
    file.write_text(json.dumps(values))
    chart = REPO / "charts/stockpipeline-operator"
    desk.deployment.helm("install", "second", str(chart), "--namespace", SECOND, "--values", str(file))
    while not desk.over.wait(6):
        hold()


def night_failed(desk: Desk) -> None:
    """The record of a night says that it failed; it is written here as Airflow writes it."""
    _nightly(desk, "failed", "download_ohlcv", "SourceRefuses")


def night_not_covered(desk: Desk) -> None:
    """The record of a night says that too few stocks had their bar."""
    _nightly(desk, "thin", "coverage_gate", "CoverageTooLow")


def operator_gone(desk: Desk) -> None:
    """No operator runs."""
    for namespace, name in ((SYSTEM_NAMESPACE, OPERATOR_RELEASE), (SECOND, "second")):
        desk.deployment.kubectl("scale", f"deployment/{name}", "--namespace", namespace, "--replicas=0")


def servers_in_trouble(desk: Desk) -> None:
    """Redis is nearly full, and Prometheus cannot reach Kafka's metrics."""
    redis = ("exec", "redis-0", "--namespace", BACKENDS_NAMESPACE, "--container", "redis", "--", "redis-cli")
    desk.deployment.kubectl(*redis, "eval", _BALLAST, "0", str(_BALLAST_MIB))
    prometheus = Pod.only(desk.deployment, BACKENDS_NAMESPACE, "app.kubernetes.io/component=prometheus")
    kafka = Pod.only(desk.deployment, BACKENDS_NAMESPACE, "app.kubernetes.io/component=kafka")
    kafka.cut("INPUT", "--source", prometheus.address)


def redis_gone(desk: Desk) -> None:
    """Redis answers nobody."""
    redis = Pod.only(desk.deployment, BACKENDS_NAMESPACE, "app.kubernetes.io/component=redis")
    redis.cut("INPUT", "--protocol", "tcp", "--dport", "6379")


def _lose_records(desk: Desk) -> None:
    desk.wait(
        lambda: desk.value("stockpipeline_store_records_total", "late") > 0, PATIENCE, "records are stored"
    )
    pod = desk.pod("late", "store")
    pod.cut(*KAFKA)
    before = desk.value("stockpipeline_detector_signals_total", "late")
    desk.wait(
        lambda: desk.value("stockpipeline_detector_signals_total", "late") > before + 8,
        PATIENCE,
        "signals come that are not stored",
    )
    desk.run("late", "detector", _DELETE_RECORDS, f"{DESK}.late.signals")
    pod.mend(*KAFKA)
    lost = "stockpipeline_store_lost_records_total"
    desk.wait(lambda: desk.value(lost, "late") > 0, PATIENCE, "the store says that records are lost")


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def _restarted(desk: Desk, before: int) -> bool:
    return _restarts(desk) > before


def _restarts(desk: Desk) -> int:
    (container,) = desk.pod("crashing", "producer").found["status"]["containerStatuses"]
    return int(container["restartCount"]) if container["ready"] else 0


def _nightly(desk: Desk, name: str, step: str, error: str) -> None:
    resource = yaml.safe_load((REPO / "examples/nightly.yaml").read_text())
    # It needs no pods: the record is all that is looked at.
    desk.apply(name, **resource["spec"], suspend=True)
    record = ("configmap", f"{name}-batch-run", "--namespace", DESK)
    desk.wait(
        lambda: bool(desk.deployment.kubectl("get", *record, check=False)), PATIENCE, "the record is there"
    )
    session = datetime.now(UTC) + timedelta(seconds=desk.ahead)
    last = {
        "run": f"of {session.date()}",
        "session": session.date().isoformat(),
        "ok": False,
        "task": step,
        "error": error,
        "message": "as the step said it",
        "at": datetime.now(UTC).isoformat(),
    }
    change = json.dumps({"data": {"last": json.dumps(last)}})
    desk.deployment.kubectl("patch", *record, "--type=merge", f"--patch={change}")


PROVOCATIONS: Mapping[str, Callable[[Desk], None]] = {
    "nowhere": never_ready,
    "broken": needs_a_person,
    "refused": refused_by_quota,
    "second": lease_taken,
    "failed": night_failed,
    "thin": night_not_covered,
    "contested": contested,
    "servers": servers_in_trouble,
    "late": store_in_trouble,
    "quiet": source_gone,
    "garbled": source_broken,
    "torn": store_torn,
    "crashing": producer_killed,
    "shuffled": detectors_come_and_go,
    "cut": detector_cut_off,
    "starved": detector_starved,
}
"""By the pipeline, or what else they make trouble for."""
