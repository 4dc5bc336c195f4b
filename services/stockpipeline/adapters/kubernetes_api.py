"""The Kubernetes API, as far as the batch needs it: objects and logs, by path.

Who asks is found as kubectl finds it, then as a pod does: KUBECONFIG, ~/.kube/config, the service account.
"""

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = urllib3.Timeout(connect=5, read=30)


class NoCluster(Exception):
    """There is no way to a cluster, or none that is understood here; the message says what was looked at."""


class KubernetesRefused(Exception):
    """The API server refused a request; the message is the server's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubernetesUnreachable(ConnectionError):
    """The API server does not answer."""


@dataclass(frozen=True)
class Access:
    """Where the API server is, and what to show it."""

    server: str
    tls: ssl.SSLContext
    token: str | None = None
    token_file: Path | None = None
    """A token that is renewed in its file."""

    @classmethod
    def found(cls) -> Self:
        """Return what is configured here; raise ``NoCluster``."""
        named = os.environ.get("KUBECONFIG")
        path = Path(named) if named else Path.home() / ".kube/config"
        if named or path.is_file():
            return cls.of_kubeconfig(path)
        host, port = (
            os.environ.get("KUBERNETES_SERVICE_HOST"),
            os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
        )
        token = _ACCOUNT / "token"
        if host is None or not token.is_file():
            raise NoCluster(f"no cluster to talk to: neither KUBECONFIG nor {path} nor a service account")
        tls = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", tls, None, token)

    @classmethod
    def of_kubeconfig(cls, path: Path) -> Self:
        """Return what the current context of a kubeconfig says; raise ``NoCluster``."""
        import yaml  # pods need none

        try:
            config = yaml.safe_load(path.read_text())
            context = _named(config, "contexts", "context", config["current-context"])
            cluster = _named(config, "clusters", "cluster", context["cluster"])
            user = _named(config, "users", "user", context["user"])
        except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
            raise NoCluster(f"{path} has no context that can be used: {error!r}") from error
        for plugin in ("exec", "auth-provider"):
            if plugin in user:
                raise NoCluster(
                    f"{path}: the user {context['user']} logs in by {plugin}, which is not known here: use "
                    "`kubectl proxy`, and a kubeconfig with its address"
                )
        tls = ssl.create_default_context(
            cafile=cluster.get("certificate-authority"),
            cadata=_decoded(cluster.get("certificate-authority-data")),
        )
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        _load_certificate(tls, user)
        token_file = Path(user["tokenFile"]) if "tokenFile" in user else None
        return cls(cluster["server"].rstrip("/"), tls, user.get("token"), token_file)

    def headers(self) -> dict[str, str]:
        """Return what authorizes a request; nothing where a certificate does."""
        token = self.token_file.read_text().strip() if self.token_file is not None else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


class KubernetesApi:
    """Requests to one API server. Reads are tried again where no answer came, what changes something is not.

    Every method raises ``KubernetesUnreachable``, and ``KubernetesRefused`` unless it says otherwise.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        # Straight to the server, as pods and port-forwards are reached: never through a proxy for the web.
        self._pool = urllib3.PoolManager(num_pools=1, ssl_context=access.tls, timeout=_TIMEOUT)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object | None:
        """Return an object or a list; None where it does not exist."""
        status, data = self._request("GET", path, query)
        if status == 404:
            return None
        answer: Object = json.loads(_accepted(status, data))
        return answer

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str | None:
        """Return a text, such as a log; None where there is none, or none yet."""
        status, data = self._request("GET", path, query)
        if status in (400, 404):
            return None
        return _accepted(status, data).decode(errors="replace")

    def create(self, path: str, body: Object) -> Object | None:
        """Make an object in a collection; return None where one of its name exists."""
        status, data = self._request("POST", path, body=body)
        if status == 409:
            return None
        answer: Object = json.loads(_accepted(status, data))
        return answer

    def delete(self, path: str, uid: str) -> None:
        """Delete this very object, and what it owns; fine if it is gone."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        status, data = self._request("DELETE", path, body=body)
        if status not in (404, 409):
            _accepted(status, data)

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> tuple[int, bytes]:
        url = self._access.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                headers={**self._access.headers(), "Content-Type": "application/json"},
                body=None if body is None else json.dumps(body).encode(),
                retries=urllib3.Retry(total=3 if method == "GET" else 0, redirect=0, backoff_factor=0.5),
            )
        except urllib3.exceptions.HTTPError as error:
            message = f"the API server at {self._access.server} does not answer: {error}"
            raise KubernetesUnreachable(message) from error
        return response.status, response.data


def _accepted(status: int, data: bytes) -> bytes:
    if status < 400:
        return data
    try:
        message = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        message = data.decode(errors="replace") or f"HTTP status {status}"
    raise KubernetesRefused(status, message)


def _named(config: Object, kinds: str, kind: str, name: str) -> Object:
    for one in config[kinds]:
        if one["name"] == name:
            found: Object = one[kind] or {}
            return found
    raise KeyError(f"{kinds}: {name}")


def _decoded(data: str | None) -> str | None:
    return None if data is None else base64.b64decode(data).decode()


def _load_certificate(tls: ssl.SSLContext, user: Object) -> None:
    if "client-certificate" in user:
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
    elif "client-certificate-data" in user:
        # Python's TLS takes files only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(base64.b64decode(user["client-certificate-data"]))
            file.write(b"\n" + base64.b64decode(user["client-key-data"]))
            file.flush()
            tls.load_cert_chain(file.name)
