"""An alert's way: metrics, Prometheus with the shipped rules, the chart's Alertmanager, webhook and Slack."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import yaml
from helm_python import Chart
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from observability.generate import REPOSITORY
from stockpipeline_operator.metrics import OperatorMetrics
from tests.integration.servers.process import ServerProcess
from tests.ports import free_port

CHARTS = REPOSITORY / "charts"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PATIENCE = 120.0
SLACK = "http://127.0.0.1:{}/slack"


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve on loopback in a thread; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running(process: ServerProcess) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        process.stop()


def server(name: str, folder: Path, port: int, *arguments: str) -> ServerProcess:
    """A server of the Prometheus family on a loopback port."""

    def ready() -> bool:
        with DIRECT.open(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)

    command = [name, f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / name}", *arguments]
    if name == "prometheus":
        command[2] = f"--storage.tsdb.path={folder / name}"
    return ServerProcess(command, folder / f"{name}.log", ready)


def alertmanager_settings(webhook: int, secrets: Path) -> str:
    """The chart's own, with this webhook, which is Slack's too; only its patience for more alerts of a group
    is shortened, and what Kubernetes would mount is in a folder.
    """
    values = {
        "alertmanager": {
            "webhookUrl": f"http://127.0.0.1:{webhook}/webhook",
            "webhookToken": {"name": "hooks", "key": "token"},
            "slackUrl": {"name": "hooks", "key": "slack"},
        }
    }
    for name, text in {"webhook-token/token": "t0ken", "slack-url/slack": SLACK.format(webhook)}.items():
        (secrets / name).parent.mkdir()
        (secrets / name).write_text(text)
    chart = Chart.load(CHARTS / "stockpipeline-backends")
    rendered = chart.render(values, name="backends", namespace="backends")
    for text in rendered.values():
        for each in yaml.safe_load_all(text):
            if each and each["kind"] == "Secret" and each["metadata"]["name"] == "alertmanager":
                settings: dict[str, Any] = yaml.safe_load(each["stringData"]["alertmanager.yml"])
                settings["route"]["group_wait"] = settings["route"]["group_interval"] = "1s"
                return json.dumps(settings).replace("/run/", f"{secrets}/")
    raise AssertionError("the chart has no settings of Alertmanager")


def impatient_rules() -> str:
    """The shipped rules, which wait for nothing."""
    rules = yaml.safe_load((CHARTS / "stockpipeline-operator/files/rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["for"] = "0s"
    return json.dumps(rules)


def prometheus_settings(target: int, alertmanager: int) -> str:
    labels = {"namespace": "stockpipeline-system", "pod": "operator-1", "component": "operator"}
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [
                {
                    "job_name": "pods",
                    "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": labels}],
                }
            ],
        }
    )


def test_an_operator_without_a_leader_is_told_to_the_webhook_and_so_is_its_end(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    operator = OperatorMetrics(registry)
    operator.leading.set(0)
    told: SimpleQueue[dict[str, Any]] = SimpleQueue()
    slack: SimpleQueue[dict[str, Any]] = SimpleQueue()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(generate_latest(registry))

        def log_message(self, *_arguments: object) -> None:
            pass

    class Webhook(Metrics):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/slack":
                slack.put(message)
            elif self.headers["Authorization"] == "Bearer t0ken":
                told.put(message)
            self.send_response(200)
            self.end_headers()

    with ExitStack() as stack:
        target, webhook = stack.enter_context(serving(Metrics)), stack.enter_context(serving(Webhook))
        prometheus, alertmanager = free_port(), free_port()
        for name, text in {
            "alertmanager.yml": alertmanager_settings(webhook, tmp_path),
            "rules.yml": impatient_rules(),
            "prometheus.yml": prometheus_settings(target, alertmanager),
        }.items():
            (tmp_path / name).write_text(text)
        config = f"--config.file={tmp_path}/alertmanager.yml"
        stack.enter_context(
            running(
                server("prometheus-alertmanager", tmp_path, alertmanager, config, "--cluster.listen-address=")
            )
        )
        config = f"--config.file={tmp_path}/prometheus.yml"
        stack.enter_context(running(server("prometheus", tmp_path, prometheus, config)))

        alert = next_alert(told, "StockPipelineOperatorLeaderless", "firing")
        assert alert["labels"]["severity"] == "critical"
        assert alert["labels"]["namespace"] == "stockpipeline-system"
        assert "stockpipeline-system" in alert["annotations"]["description"]
        page = alert["annotations"]["runbook_url"]
        assert (REPOSITORY / page).exists()
        (attached,) = slack.get(timeout=PATIENCE)["attachments"]
        assert attached["title"] == "StockPipelineOperatorLeaderless: firing"
        assert alert["annotations"]["description"] in attached["text"]

        operator.leading.set(1)
        next_alert(told, "StockPipelineOperatorLeaderless", "resolved")


def next_alert(told: SimpleQueue[dict[str, Any]], name: str, status: str) -> dict[str, Any]:
    """Wait for a message with an alert of this name and status; others are passed over."""
    while True:
        for alert in told.get(timeout=PATIENCE)["alerts"]:
            if (alert["labels"]["alertname"], alert["status"]) == (name, status):
                return dict(alert)
