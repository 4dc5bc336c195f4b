"""Trouble made for real to running services, up to the webhook; beside it a pipeline that is well.

Everything is real but the outside and the time: the shipped rules wait for nothing here, and look back
seconds in place of minutes. The same with the shipped durations, in a cluster, is `make test-alerts`.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.cli.history import load
from tests.integration.observability.monitoring import Told, monitored
from tests.integration.services.clock import OPEN, ahead
from tests.integration.services.conftest import StartService, start
from tests.integration.services.support import Service, create_topics, eventually, pipeline, produce
from tests.stand_ins.kis import KisServer

__all__ = ["start"]

# An hour of ticks, some dozens a second.
CALM = {"start": "2005-01-03", "speed": 12_000, "ticksPerBar": 30}
SYNC = {"schedule": {"publish": "500ms", "pull": "500ms", "scrub": "1s"}, "retention": {"all": "1h"}}


@dataclass(frozen=True)
class Running:
    """A pipeline and its processes."""

    config: PipelineConfig
    data: Path
    services: Mapping[str, Service]

    def targets(self) -> dict[str, dict[str, str]]:
        """What Prometheus asks, with the labels that Kubernetes would give."""
        return {
            service.address: {
                "namespace": "test", "pod": f"{self.config.name}-{component}-1", "component": component,
            }
            for component, service in self.services.items()
        }  # fmt: skip


def stored(name: str, kafka: str, redis: str, start: StartService, folder: Path) -> Running:
    config = pipeline(name, kafka, redis, replay=CALM, store={}, replicaSync=SYNC)
    create_topics(config)
    assert load(config) == 0
    data = folder / f"{name}-data"
    services = {
        component: start(command, config, f"{name}-{command}", {"STOCKPIPELINE_DATA": str(data)})
        for component, command in {
            "detector": "detector", "producer": "producer", "store": "store", "replica": "replica-sync",
        }.items()
    }  # fmt: skip
    return Running(config, data, services)


@pytest.fixture
def kis() -> Iterator[KisServer]:
    with KisServer(ticks_per_second=2, heartbeat_seconds=1.0) as server:
        server.faults.skew_seconds = ahead(OPEN)
        server.secrets = {f"appkey-{uuid.uuid4().hex}": "test-appsecret"}
        yield server


def live(kafka: str, redis: str, kis: KisServer, start: StartService, folder: Path) -> Running:
    """A producer whose only source is KIS, in the middle of a session."""
    ((appkey, appsecret),) = kis.secrets.items()
    (folder / "secrets/kis").mkdir(parents=True)
    for key, value in {"appkey": appkey, "appsecret": appsecret}.items():
        (folder / "secrets/kis" / key).write_text(value)
    source = {
        "credentials": [{"secretRef": {"name": "kis"}}],
        "restUrl": kis.rest_url,
        "websocketUrl": kis.websocket_url,
        "staleAfter": "2s",
    }
    config = pipeline("quiet", kafka, redis, sources=[{"name": "kis", "kis": source}])
    create_topics(config)
    environment = {"STOCKPIPELINE_SECRETS": str(folder / "secrets")}
    producer = start("producer", config, "quiet-producer", environment, at=OPEN)
    return Running(config, folder, {"producer": producer})


def damage(file: Path) -> None:
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(b"damage" * 100)


def metric(running: Running, component: str, name: str) -> float:
    return running.services[component].metric(f"stockpipeline_{name}")


def has_generations(running: Running) -> bool:
    return metric(running, "replica", "replica_generation") > 1


def test_trouble_is_told_of_whom_it_is_about_and_so_is_its_end(
    kafka: str, redis: str, start: StartService, tmp_path: Path
) -> None:
    well = stored("well", kafka, redis, start, tmp_path)
    ill = stored("ill", kafka, redis, start, tmp_path)
    for one in (well, ill):
        eventually(partial(has_generations, one), "generations are pulled")
    (tmp_path / "monitoring").mkdir()
    with monitored(tmp_path / "monitoring", well.targets() | ill.targets()) as told:
        a_producer_is_killed(ill, told)
        a_detector_is_paused(ill, told)
        strangers_write(ill, told)
        a_replica_is_damaged(ill, told)
        # Rules that wait for nothing also tell of what begins: a start that still warms up.
        about_neighbour = {one["labels"]["alertname"] for one in told.alerts if "well" in str(one["labels"])}
        assert not about_neighbour & PROVOKED


PROVOKED = {
    "StockPipelineTargetDown",
    "StockPipelineDeadLetters",
    "StockPipelineStoreRecordsRefused",
    "StockPipelineStoreDeliveryRefused",
    "StockPipelineReplicaVerifyFailed",
}


def a_producer_is_killed(ill: Running, told: Told) -> None:
    whom = {"namespace": "test", "pod": "ill-producer-1", "component": "producer"}
    ill.services["producer"].process.kill()
    alert = told.wait("StockPipelineTargetDown", "firing", **whom)
    assert "test/ill-producer-1" in alert["annotations"]["description"]
    ill.services["producer"].process.start()
    told.wait("StockPipelineTargetDown", "resolved", **whom)


def a_detector_is_paused(ill: Running, told: Told) -> None:
    whom = {"namespace": "test", "pod": "ill-detector-1", "component": "detector"}
    os.kill(ill.services["detector"].process.pid, signal.SIGSTOP)
    told.wait("StockPipelineTargetDown", "firing", **whom)
    os.kill(ill.services["detector"].process.pid, signal.SIGCONT)
    told.wait("StockPipelineTargetDown", "resolved", **whom)


def strangers_write(ill: Running, told: Told) -> None:
    names, servers = ill.config.names, ill.config.bootstrap_servers
    produce(servers, names.topic(Topic.TICKS), ("IBM", b"no tick"))
    told.wait("StockPipelineDeadLetters", "firing", namespace="test", pipeline="ill")
    produce(servers, names.topic(Topic.SIGNALS), ("IBM", b"no signal"))
    told.wait("StockPipelineStoreRecordsRefused", "firing", namespace="test", pipeline="ill", topic="signals")
    waiting = ill.data / "store/generations/deliveries/waiting"
    waiting.mkdir(parents=True, exist_ok=True)
    stranger = waiting / "000000000001.json"
    stranger.write_text("no delivery")
    told.wait("StockPipelineStoreDeliveryRefused", "firing", namespace="test", pipeline="ill")
    stranger.unlink()
    for name in ("DeadLetters", "StoreRecordsRefused", "StoreDeliveryRefused"):
        told.wait(f"StockPipeline{name}", "resolved", namespace="test", pipeline="ill")


def a_replica_is_damaged(ill: Running, told: Told) -> None:
    def found() -> bool:
        # Again, for a new generation may have come in between; the one that it was may just have gone.
        with suppress(FileNotFoundError):
            damage((ill.data / "replica/current").resolve())
        return metric(ill, "replica", "replica_verify_failures_total") > 0

    eventually(found, "the damage is found")
    whom = {"namespace": "test", "pipeline": "ill", "pod": "ill-replica-1"}
    alert = told.wait("StockPipelineReplicaVerifyFailed", "firing", **whom)
    assert alert["labels"]["severity"] == "critical"
    told.wait("StockPipelineReplicaVerifyFailed", "resolved", **whom)


def test_a_source_that_breaks_in_a_session_is_told_and_so_is_its_end(
    kafka: str, redis: str, kis: KisServer, start: StartService, tmp_path: Path
) -> None:
    quiet = live(kafka, redis, kis, start, tmp_path)
    eventually(lambda: metric(quiet, "producer", "producer_ticks_total") > 0, "ticks come of KIS")
    assert metric(quiet, "producer", "producer_session_open") == 1
    whom = {"namespace": "test", "pipeline": "quiet"}
    (tmp_path / "monitoring").mkdir()
    with monitored(tmp_path / "monitoring", quiet.targets()) as told:
        kis.faults.ws_silent, kis.faults.rest_status = True, 500
        kis.disconnect(abort=True)
        for name, labels in {
            "AllSourcesDown": {"severity": "critical"},
            "SymbolsStale": {"severity": "warning"},
            "SourceDown": {"source": "kis"},
            "Silent": {"severity": "critical"},
            "FreshnessBurn": {"severity": "critical"},
        }.items():
            told.wait(f"StockPipeline{name}", "firing", **whom, **labels)
        kis.faults.ws_silent, kis.faults.rest_status = False, 0
        for name in ("AllSourcesDown", "SymbolsStale", "Silent"):
            told.wait(f"StockPipeline{name}", "resolved", **whom)
