"""What `cluster.kind` decides; tests/kind runs it against a real kind."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cluster.deploy import PROMETHEUS_NODE_PORT
from cluster.kind import CONFIG, KindCluster, with_ports
from cluster.progress import Progress
from cluster.settings import REPO, Settings

# Stand-ins for the programs: each notes its call; `kind` keeps the clusters that exist in a file.
KIND = """#!/bin/sh
echo "kind $*" >>"$CALLS"
case "$1 $2" in
  "get clusters") cat "$CLUSTERS" ;;
  "get nodes") test ! -s "$CLUSTERS" || echo one-control-plane ;;
  "create cluster") cat >/dev/null; echo one >"$CLUSTERS" ;;
  "delete cluster") : >"$CLUSTERS" ;;
esac
"""
KUBECTL = """#!/bin/sh
case "$*" in
  *readyz*) echo ok ;;
  *) echo '{"items": [{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}]}' ;;
esac
"""
DOCKER = """#!/bin/sh
echo "docker $*" >>"$CALLS"
case "$1" in port) echo 127.0.0.1:19090 ;; esac
"""


def settings(tmp_path: Path, **changes: str) -> Settings:
    made = Settings.from_environment({"CLUSTER": "kind", "HOME": str(tmp_path), **changes})
    return Settings(**{**vars(made), "state": tmp_path / "state", "run": tmp_path / "run"})


@pytest.fixture
def clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that lists the existing clusters; the programs are on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("kind", KIND), ("kubectl", KUBECTL), ("docker", DOCKER)):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    listed = tmp_path / "clusters"
    listed.touch()
    (tmp_path / "calls").touch()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CLUSTERS", str(listed))
    monkeypatch.delenv("NODE_IMAGE", raising=False)
    return listed


@pytest.fixture
def calls(tmp_path: Path, clusters: Path) -> Callable[[], list[str]]:
    """Return the changing calls since the last look."""

    def take() -> list[str]:
        file = tmp_path / "calls"
        lines = file.read_text().splitlines()
        file.write_text("")
        return [" ".join(line.split()[:3]) for line in lines if not line.startswith("kind get")]

    return take


def up(cluster: KindCluster) -> str:
    out = io.StringIO()
    cluster.up(Progress(out))
    return out.getvalue()


def test_config_has_one_control_plane_one_worker_and_loopback_ports() -> None:
    config = yaml.safe_load((REPO / CONFIG).read_text())
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker"]
    mappings = config["nodes"][0]["extraPortMappings"]
    assert {mapping["listenAddress"] for mapping in mappings} == {"127.0.0.1"}
    assert {mapping["containerPort"] for mapping in mappings} == {30080, 30300, PROMETHEUS_NODE_PORT}
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"


def test_default_cluster_has_the_ports_of_the_file(tmp_path: Path) -> None:
    text = (REPO / CONFIG).read_text()
    assert with_ports(text, settings(tmp_path)) == text


def test_another_cluster_has_ports_of_its_own(tmp_path: Path) -> None:
    mine = settings(tmp_path, CLUSTER_NAME="other", PROMETHEUS_PORT="20000")
    config = yaml.safe_load(with_ports((REPO / CONFIG).read_text(), mine))
    assert config["networking"]["apiServerPort"] == mine.api_port
    ports = {one["containerPort"]: one["hostPort"] for one in config["nodes"][0]["extraPortMappings"]}
    assert ports == {30080: 18080 + mine.slot, 30300: 13000 + mine.slot, 30090: 20000}


def test_up_creates_once_and_leaves_a_healthy_cluster_alone(
    tmp_path: Path, clusters: Path, calls: Callable[[], list[str]]
) -> None:
    cluster = KindCluster(settings(tmp_path, CLUSTER_NAME="one"))
    up(cluster)
    assert calls() == ["kind create cluster"]
    assert up(cluster) == ""
    assert calls() == []


def test_half_made_cluster_is_made_anew(
    tmp_path: Path, clusters: Path, calls: Callable[[], list[str]]
) -> None:
    mine = settings(tmp_path, CLUSTER_NAME="one")
    clusters.write_text("one\n")
    mine.state.mkdir()
    (mine.state / "kind.json").write_text(json.dumps({"complete": False}))
    up(KindCluster(mine))
    assert calls() == ["kind delete cluster", "kind create cluster"]


def test_cluster_that_was_made_by_hand_is_never_deleted(
    tmp_path: Path, clusters: Path, calls: Callable[[], list[str]]
) -> None:
    clusters.write_text("one\n")
    up(KindCluster(settings(tmp_path, CLUSTER_NAME="one")))
    assert calls() == []


def test_changed_node_image_is_told(tmp_path: Path, clusters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = settings(tmp_path, CLUSTER_NAME="one")
    up(KindCluster(mine))
    monkeypatch.setenv("NODE_IMAGE", "kindest/node:v0.0.0")
    assert "`make down` and `make up` apply it to one" in up(KindCluster(mine))


def test_port_that_was_not_published_is_refused_with_the_remedy(tmp_path: Path, clusters: Path) -> None:
    cluster = KindCluster(settings(tmp_path, CLUSTER_NAME="one"))
    cluster.expose(19090, PROMETHEUS_NODE_PORT)
    with pytest.raises(RuntimeError, match=r"at 127\.0\.0\.1:19090; run `make down`"):
        cluster.expose(20000, PROMETHEUS_NODE_PORT)


def test_down_works_without_a_cluster(tmp_path: Path, clusters: Path) -> None:
    mine = settings(tmp_path, CLUSTER_NAME="one")
    KindCluster(mine).down(Progress(io.StringIO()))
    assert not mine.state.exists()
