"""An alert's way: metrics, Prometheus with the shipped rules, the chart's Alertmanager, webhook and Slack."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from observability.generate import REPOSITORY
from stockpipeline_operator.metrics import OperatorMetrics
from tests.integration.observability.monitoring import PATIENCE, monitored, serving


def test_an_operator_without_a_leader_is_told_to_the_webhook_and_so_is_its_end(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    operator = OperatorMetrics(registry)
    operator.leading.set(0)

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(generate_latest(registry))

        def log_message(self, *_arguments: object) -> None:
            pass

    labels = {"namespace": "stockpipeline-system", "pod": "operator-1", "component": "operator"}
    with serving(Metrics) as port, monitored(tmp_path, {f"127.0.0.1:{port}": labels}) as told:
        alert = told.wait("StockPipelineOperatorLeaderless", "firing")
        assert alert["labels"]["severity"] == "critical"
        assert alert["labels"]["namespace"] == "stockpipeline-system"
        assert "stockpipeline-system" in alert["annotations"]["description"]
        page = alert["annotations"]["runbook_url"]
        assert (REPOSITORY / page).exists()
        (attached,) = told.slack.get(timeout=PATIENCE)["attachments"]
        assert attached["title"] == "StockPipelineOperatorLeaderless: firing"
        assert alert["annotations"]["description"] in attached["text"]

        operator.leading.set(1)
        told.wait("StockPipelineOperatorLeaderless", "resolved")
