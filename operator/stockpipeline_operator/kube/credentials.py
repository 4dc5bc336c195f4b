"""How to reach the API server and what to show it: from a kubeconfig, else from the pod's service account."""

import dataclasses
import os
import time
from pathlib import Path

import kopf

TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
# The kubelet renews the token in the file long before it expires.
_TOKEN_SECONDS = 60.0


class NoCluster(RuntimeError):
    """There is neither a kubeconfig nor a service account."""


def connection() -> kopf.ConnectionInfo:
    """Endpoint and credentials, found in the order that Helm uses: KUBECONFIG, ~/.kube/config, the pod.

    Raises:
        NoCluster: none of them exists.
    """
    settings = kopf.OperatorSettings()
    found = kopf.login_with_kubeconfig(settings=settings)
    if found is not None:
        return found
    found = kopf.login_with_service_account(settings=settings)
    if found is None:
        raise NoCluster(f"no cluster to talk to: KUBECONFIG is not set and {TOKEN_FILE} does not exist")
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host:
        # By address: an operator that has to heal a cluster should not need the cluster's DNS.
        found = dataclasses.replace(
            found, server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        )
    return found


class Authorization:
    """The headers that authorize a request; a service account's token is read again, as it is renewed."""

    def __init__(self, info: kopf.ConnectionInfo) -> None:
        self._info = info
        self._from_file = info.token is not None and TOKEN_FILE.exists() and info.token == _token()
        self._read_at = time.monotonic()

    def headers(self) -> dict[str, str]:
        """The Authorization header, or nothing where a client certificate is used."""
        if self._from_file and time.monotonic() - self._read_at > _TOKEN_SECONDS:
            self._info = dataclasses.replace(self._info, token=_token())
            self._read_at = time.monotonic()
        return self._info.as_http_headers()


def _token() -> str:
    return TOKEN_FILE.read_text(encoding="utf-8").strip()
