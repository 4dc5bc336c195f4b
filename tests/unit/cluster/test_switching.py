"""A cluster of one kind is never taken for one of the other."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest

from cluster.progress import Progress
from cluster.settings import Settings
from cluster.up import down


@pytest.fixture
def node(tmp_path: Path) -> Settings:
    settings = Settings.from_environment({"CLUSTER": "node", "CLUSTER_NAME": "one"})
    return dataclasses.replace(settings, state=tmp_path / "state", run=tmp_path / "run" / "one")


def test_down_refuses_a_cluster_of_the_other_kind(node: Settings) -> None:
    node.remember()
    with pytest.raises(ValueError, match="one is a node cluster; `make down CLUSTER=node CLUSTER_NAME=one`"):
        down(dataclasses.replace(node, kind="kind"), Progress(io.StringIO()))
    assert node.state.exists()


def test_programs_of_a_node_are_known_without_its_memory(node: Settings) -> None:
    other = dataclasses.replace(node, kind="kind")
    other.check_kind()
    (node.run / "programs").mkdir(parents=True)
    (node.run / "programs" / "etcd.pid").touch()
    node.check_kind()
    with pytest.raises(ValueError, match="one is a node cluster"):
        other.check_kind()
