"""The backends' own programs accept the settings that the chart gives them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart
from redis import Redis

from tests.integration.servers.redis import running_server

CHART = Path(__file__).parents[3] / "charts" / "stockpipeline-backends"


def rendered_files(kind: str, name: str, values: dict[str, Any] | None = None) -> dict[str, str]:
    manifests = Chart.load(CHART).render(values=values or {}, name="backends", namespace="backends")
    for text in manifests.values():
        for each in yaml.safe_load_all(text):
            if each and each["kind"] == kind and each["metadata"]["name"] == name:
                files: dict[str, str] = each["data" if kind == "ConfigMap" else "stringData"]
                return files
    raise AssertionError(f"the chart renders no {kind} {name}")


def check(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration_and_rules(tmp_path: Path) -> None:
    for name, text in rendered_files("ConfigMap", "prometheus").items():
        (tmp_path / name).write_text(text.replace("/etc/prometheus/", f"{tmp_path}/"))
    check("promtool", "check", "config", str(tmp_path / "prometheus.yml"))


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"webhookUrl": "http://hooks.example/alert?token=a&b=1"},
        {
            "webhookUrl": "http://hooks.example",
            "webhookToken": {"name": "hooks", "key": "token"},
            "slackUrl": {"name": "hooks", "key": "slack"},
        },
    ],
    ids=["nobody", "webhook", "with-secrets"],
)
def test_alertmanager_accepts_its_configuration(tmp_path: Path, told: dict[str, Any]) -> None:
    files = rendered_files("Secret", "alertmanager", {"alertmanager": told})
    (tmp_path / "alertmanager.yml").write_text(files["alertmanager.yml"])
    check("amtool", "check-config", str(tmp_path / "alertmanager.yml"))


def test_redis_keeps_its_data_through_a_crash(tmp_path: Path) -> None:
    settings = tmp_path / "redis.conf"
    settings.write_text(rendered_files("ConfigMap", "redis")["redis.conf"])
    # As the chart has it, but on this test's folder and port.
    chosen = dict(
        line.split(None, 1) for line in settings.read_text().splitlines() if line and line[0] != "#"
    )
    kept = ("appendonly", "maxmemory", "maxmemory-policy")
    options = [word for name in kept for word in (f"--{name}", chosen[name])] + ["--appendfsync", "always"]
    with running_server(tmp_path, options) as server:
        with Redis.from_url(server.url) as client:
            client.set("history", "bars")
        server.kill()
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.get("history") == b"bars"
            assert client.config_get("maxmemory") == {"maxmemory": str(128 * 1024 * 1024)}
