"""A small client of the cluster's own API server: just what bringing the node up needs."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.embedded.pki import Certificate

# The collection of each kind that this package makes: (path before the namespace, plural).
_COLLECTIONS = {
    "Service": ("/api/v1", "services"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
}
_FIELD_MANAGER = "stockpipeline-node"
_TIMEOUT = 10.0


class ApiError(RuntimeError):
    """An answer of the API server that is not a success."""


class ApiClient:
    """Calls the API server of a kubeconfig as its user."""

    def __init__(self, server: str, authority: Path, user: Certificate) -> None:
        self._server = urlsplit(server)
        self._tls = ssl.create_default_context(cafile=authority)
        self._tls.load_cert_chain(user.certificate, user.key)

    def ready(self) -> bool:
        """Tell whether the API server is up and has done all that it does at its start."""
        try:
            return self._call("GET", "/readyz")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the object at `path`, or None where there is none."""
        status, body = self._call("GET", path)
        if status == http.client.NOT_FOUND:
            return None
        return _object(status, body, path)

    def node_is_ready(self, name: str, newer_than: datetime) -> bool:
        """Tell whether the node's kubelet said at `newer_than` or later that it is Ready."""
        node = self.get(f"/api/v1/nodes/{name}")
        conditions = [] if node is None else node["status"].get("conditions", [])
        return any(
            condition["type"] == "Ready"
            and condition["status"] == "True"
            and datetime.fromisoformat(condition["lastHeartbeatTime"]) >= newer_than
            for condition in conditions
        )

    def apply(self, item: dict[str, Any]) -> None:
        """Make the object what is given (server-side apply): no change where it already is."""
        base, plural = _COLLECTIONS[item["kind"]]
        metadata = item["metadata"]
        scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        path = f"{base}{scope}/{plural}/{metadata['name'].replace(':', '%3A')}"
        query = f"?fieldManager={_FIELD_MANAGER}&force=true"
        status, body = self._call("PATCH", path + query, json.dumps(item), "application/apply-patch+yaml")
        _object(status, body, path)

    def _call(
        self, method: str, path: str, body: str | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            self._server.hostname or "", self._server.port, context=self._tls, timeout=_TIMEOUT
        )
        with closing(connection):
            connection.request(method, path, body, {"Content-Type": kind, "Accept": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()


def _object(status: int, body: bytes, path: str) -> dict[str, Any]:
    if status not in (http.client.OK, http.client.CREATED):
        raise ApiError(f"{path}: the API server answers {status}: {body.decode(errors='replace')[:1000]}")
    content: dict[str, Any] = json.loads(body)
    return content
