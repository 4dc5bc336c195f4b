"""Trouble made for real to running services, up to the webhook.

Everything is real but the outside and the time: the shipped rules wait for nothing here, and look back
seconds in place of minutes. The same with the shipped durations, in a cluster, is `make test-alerts`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from stockpipeline.api import PipelineConfig
from tests.integration.observability.monitoring import monitored
from tests.integration.services.clock import OPEN, ahead
from tests.integration.services.conftest import StartService, start
from tests.integration.services.support import Service, create_topics, eventually, pipeline
from tests.stand_ins.kis import KisServer

__all__ = ["start"]


@dataclass(frozen=True)
class Running:
    """A pipeline and its processes."""

    config: PipelineConfig
    services: Mapping[str, Service]

    def targets(self) -> dict[str, dict[str, str]]:
        """What Prometheus asks, with the labels that Kubernetes would give."""
        return {
            service.address: {
                "namespace": "test", "pod": f"{self.config.name}-{component}-1", "component": component,
            }
            for component, service in self.services.items()
        }  # fmt: skip


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
    return Running(config, {"producer": producer})


def metric(running: Running, component: str, name: str) -> float:
    return running.services[component].metric(f"stockpipeline_{name}")


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
