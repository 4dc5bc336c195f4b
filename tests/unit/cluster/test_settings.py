from __future__ import annotations

from pathlib import Path

import pytest

from cluster.settings import Settings, slot_of


def test_defaults() -> None:
    settings = Settings.from_environment({"HOME": "/home/me", "CLUSTER": "node"})
    assert (settings.name, settings.kind, settings.egress) == ("stockpipeline", "node", False)
    assert settings.cache == Path("/home/me/.cache/stockpipeline")
    assert settings.state == Path("/var/lib/stockpipeline/stockpipeline")
    assert settings.kubeconfig == settings.state / "admin.kubeconfig"
    assert (settings.api_port, settings.prometheus_port) == (16443, 19090)


@pytest.mark.parametrize(("lacking", "kind"), [("", "kind"), ("kind", "node"), ("kubectl", "node")])
def test_kind_is_chosen_only_where_all_its_programs_are(
    lacking: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in {"kind", "kubectl", "docker"} - {lacking}:
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cluster.settings.STATE_ROOT", tmp_path / "state")
    assert Settings.from_environment({}).kind == kind


def test_another_name_gets_ports_of_its_own_each_time_the_same() -> None:
    environment = {"CLUSTER": "node", "CLUSTER_NAME": "other"}
    first, again = Settings.from_environment(environment), Settings.from_environment(environment)
    assert first == again
    assert first.api_port == 16443 + slot_of("other") != 16443
    assert first.prometheus_port == 19090 + slot_of("other") != 19090


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLUSTER_NAME", "../etc"),
        ("CLUSTER_NAME", "Big"),
        ("CLUSTER_NAME", "x" * 41),
        ("CLUSTER_NAME", "ends-"),
        ("CLUSTER", "docker"),
        ("EGRESS", "yes"),
        ("SPARK", "yes"),
        ("API_PORT", "80"),
        ("API_PORT", "http"),
        ("PROMETHEUS_PORT", "70000"),
    ],
)
def test_a_wrong_value_is_named(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable) as error:
        Settings.from_environment({"CLUSTER": "node", variable: value})
    assert value in str(error.value)


def test_what_a_cluster_was_made_with_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.settings.STATE_ROOT", tmp_path)
    Settings.from_environment({"CLUSTER": "node", "API_PORT": "20001"}).remember()
    assert Settings.from_environment({"CLUSTER": ""}).api_port == 20001
    assert Settings.from_environment({"API_PORT": "20002"}).api_port == 20002, "the environment is stronger"


def test_a_torn_memory_is_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.settings.STATE_ROOT", tmp_path)
    memory = tmp_path / "stockpipeline" / "settings.json"
    memory.parent.mkdir()
    memory.write_text('{"API_PORT": 2')
    assert Settings.from_environment({"CLUSTER": "node"}).api_port == 16443
