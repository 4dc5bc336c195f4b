"""A webhook in the cluster that keeps what Alertmanager posts to it, and what of it a test waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cluster.shell import CommandError
from tests.e2e.conftest import Deployment

NAMESPACE = "alerts-webhook"
URL = f"http://webhook.{NAMESPACE}.svc:8080/alerts"
# One message to a line of its log, which is where the test reads them.
_PROGRAM = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers['Content-Length'])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

ThreadingHTTPServer(('0.0.0.0', 8080), Webhook).serve_forever()
"""
_LOOK_SECONDS = 8.0


class Webhook:
    """Reads what has come so far."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def alerts(self) -> Iterator[dict[str, Any]]:
        """Every alert of every message, in the order in which they came."""
        told = self._deployment.kubectl("logs", "deployment/webhook", "--namespace", NAMESPACE, "--tail=-1")
        for line in told.splitlines():
            yield from json.loads(line)["alerts"]

    def wait(
        self,
        name: str,
        status: str,
        labels: Mapping[str, str],
        deadline: float,
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Return the newest alert of this name, status and labels; without one, fail at the deadline."""
        while True:
            try:
                found = [
                    one
                    for one in self.alerts()
                    if (one["labels"]["alertname"], one["status"]) == (name, status)
                    and labels.items() <= one["labels"].items()
                ]
            except CommandError:  # a busy API server
                found = []
            if found:
                return found[-1]
            if time.monotonic() > deadline:
                came = sorted({(one["labels"]["alertname"], one["status"]) for one in self.alerts()})
                raise AssertionError(f"{name} {dict(labels)} was not told as {status}; what was: {came}")
            check()  # what is no more to come need not be waited for
            time.sleep(_LOOK_SECONDS)


def manifests(image: str) -> list[dict[str, Any]]:
    """The webhook's objects; `image` has a Python."""
    labels = {"app.kubernetes.io/name": "webhook"}
    metadata = {"name": "webhook", "namespace": NAMESPACE, "labels": labels}
    container = {
        "name": "webhook",
        "image": image,
        "command": ["python3", "-c", _PROGRAM],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 8080, "targetPort": "http"}]},
        },
    ]
