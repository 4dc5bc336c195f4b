"""A program in the cluster that keeps what is posted to it: a webhook, or a collector of traces."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.e2e.conftest import Deployment

_MARK = "posted "
# One body to a line of its log, which is where tests read them. One at a time: lines of threads may mix.
_PROGRAM = f"""
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer

class Listener(BaseHTTPRequestHandler):
    timeout = 5

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        print('{_MARK}' + b64encode(body).decode(), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

HTTPServer(('0.0.0.0', PORT), Listener).serve_forever()
"""


class Listener:
    """A pod of this name, and what came to it."""

    def __init__(self, deployment: Deployment, namespace: str, name: str, port: int, image: str) -> None:
        """Start it and wait until it listens; `image` has a Python."""
        self._deployment = deployment
        self._target = (f"deployment/{name}", "--namespace", namespace)
        self.url = f"http://{name}.{namespace}.svc:{port}"
        items = _manifests(namespace, name, port, image)
        deployment.kubectl(
            "apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        )
        deployment.kubectl("rollout", "status", "--timeout=90s", *self._target)

    def bodies(self) -> list[bytes]:
        """Everything that was posted, oldest first."""
        log = self._deployment.kubectl("logs", *self._target, "--tail=-1")
        posted = (line for line in log.splitlines() if line.startswith(_MARK))
        return [base64.b64decode(line.removeprefix(_MARK)) for line in posted]


def _manifests(namespace: str, name: str, port: int, image: str) -> list[dict[str, Any]]:
    labels = {"app.kubernetes.io/name": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    container = {
        "name": name,
        "image": image,
        "command": ["python3", "-c", _PROGRAM.replace("PORT", str(port))],
        "ports": [{"name": "http", "containerPort": port}],
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
            "spec": {"selector": labels, "ports": [{"port": port, "targetPort": "http"}]},
        },
    ]
