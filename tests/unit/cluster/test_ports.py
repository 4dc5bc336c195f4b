"""A port that somebody else has is told before any work; one that the cluster itself serves is fine."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import ports
from cluster.embedded.node import EmbeddedNode
from cluster.kind import KindCluster
from cluster.settings import Settings, SettingsError
from tests.ports import free_port


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def settings(tmp_path: Path, api: int, prometheus: int) -> Settings:
    made = Settings.from_environment({"CLUSTER": "node", "HOME": str(tmp_path)})
    return dataclasses.replace(
        made, state=tmp_path / "state", run=tmp_path / "run", api_port=api, prometheus_port=prometheus
    )


@pytest.mark.parametrize("variable", ["API_PORT", "PROMETHEUS_PORT"])
def test_a_port_of_somebody_else_is_named_with_its_variable(
    tmp_path: Path, listener: int, variable: str
) -> None:
    taken = {"API_PORT": (listener, free_port()), "PROMETHEUS_PORT": (free_port(), listener)}[variable]
    chosen = settings(tmp_path, *taken)
    with pytest.raises(SettingsError, match=f"{variable}={listener}: .*make up {variable}="):
        ports.check(chosen, EmbeddedNode(chosen))


def test_ports_that_the_cluster_itself_serves_are_no_problem(
    tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, listener, listener)
    monkeypatch.setattr(KindCluster, "_exists", lambda _self: True)
    ports.check(chosen, KindCluster(chosen))


def test_free_ports_are_no_problem(tmp_path: Path) -> None:
    chosen = settings(tmp_path, free_port(), free_port())
    ports.check(chosen, EmbeddedNode(chosen))
