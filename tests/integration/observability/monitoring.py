"""Prometheus with the shipped rules and the chart's Alertmanager, as processes, and a webhook beside them."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import yaml
from helm_python import Chart

from observability.generate import REPOSITORY
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
    """The shipped rules, which wait for nothing and look back a second where they look back a minute."""
    rules = yaml.safe_load((CHARTS / "stockpipeline-operator/files/rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[(\d+)m\]", r"[\1s]", rule["expr"])
            if "alert" in rule:
                rule["for"] = "0s"
    return json.dumps(rules)


def prometheus_settings(targets: Mapping[str, Mapping[str, str]], alertmanager: int) -> str:
    """Scrape these addresses each second, with the labels that Kubernetes would give."""
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [
                {
                    "job_name": "pods",
                    "static_configs": [
                        {"targets": [address], "labels": dict(labels)} for address, labels in targets.items()
                    ],
                }
            ],
        }
    )


class Told:
    """What Alertmanager posted, to the webhook and to Slack."""

    def __init__(self) -> None:
        self.webhook: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.slack: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.alerts: list[dict[str, Any]] = []

    def wait(self, name: str, status: str, **labels: str) -> dict[str, Any]:
        """Wait for an alert of this name, status and labels."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for alert in self.alerts:
                named = (alert["labels"]["alertname"], alert["status"]) == (name, status)
                if named and labels.items() <= alert["labels"].items():
                    return alert
            try:
                self.alerts += self.webhook.get(timeout=max(0.0, deadline - time.monotonic()))["alerts"]
            except Empty:
                came = sorted({(one["labels"]["alertname"], one["status"]) for one in self.alerts})
                raise AssertionError(f"{name} {labels} was not told as {status}; what was: {came}") from None


@contextmanager
def monitored(folder: Path, targets: Mapping[str, Mapping[str, str]]) -> Iterator[Told]:
    """Watch these addresses, by their labels."""
    told = Told()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/slack":
                told.slack.put(message)
            elif self.headers["Authorization"] == "Bearer t0ken":
                told.webhook.put(message)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ExitStack() as stack:
        webhook = stack.enter_context(serving(Webhook))
        prometheus, alertmanager = free_port(), free_port()
        for name, text in {
            "alertmanager.yml": alertmanager_settings(webhook, folder),
            "rules.yml": impatient_rules(),
            "prometheus.yml": prometheus_settings(targets, alertmanager),
        }.items():
            (folder / name).write_text(text)
        for name, port, more in (
            ("prometheus-alertmanager", alertmanager, ("alertmanager", "--cluster.listen-address=")),
            ("prometheus", prometheus, ("prometheus",)),
        ):
            config, *others = more
            arguments = (f"--config.file={folder}/{config}.yml", *others)
            stack.enter_context(running(server(name, folder, port, *arguments)))
        yield told
