"""The Kubernetes API as a pod reaches it: JSON over HTTPS with the token of its ServiceAccount.

A module over the standard library: the official client is larger than the rest of Airflow's packages that are
needed here, and slow to import in every task.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

Object = dict[str, Any]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT_SECONDS = 30.0
# A container may say nothing for as long as it computes; for longer than this, the connection is dead.
_SILENCE_SECONDS = 1800.0


class KubeError(Exception):
    """The API server refused a request; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kube:
    """A client. Every request has a connection of its own: tasks ask seldom, and for hours."""

    def __init__(self, host: str, port: int, account: Path, *, encrypted: bool = True) -> None:
        self._host = host
        self._port = port
        self._account = account
        self._encrypted = encrypted

    @classmethod
    def of_this_pod(cls) -> Self:
        """The API server of the cluster in which this runs.

        Raises:
            LookupError: this is no pod.
        """
        try:
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        except KeyError as missing:
            raise LookupError(f"this is no pod: the variable {missing} is not set") from None
        return cls(host, int(port), _ACCOUNT)

    def get(self, path: str) -> Object | None:
        """Return an object or a list; None where there is none.

        Raises:
            KubeError, OSError: no answer, or a refusal.
        """
        try:
            return self._json("GET", path)
        except KubeError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def create(self, path: str, body: Object) -> bool:
        """Create an object in a collection; return False where there is one of that name.

        Raises:
            KubeError, OSError: as `get`.
        """
        try:
            self._json("POST", path, body)
        except KubeError as error:
            if error.status == http.client.CONFLICT:
                return False
            raise
        return True

    def merge(self, path: str, body: Object) -> Object:
        """Change members of an object (a JSON merge patch); raises as `get`, also where it is gone."""
        return self._json("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object and what belongs to it; raises as `get`, but not where it is gone."""
        try:
            self._json("DELETE", path, {"propagationPolicy": "Background"})
        except KubeError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def lines(self, path: str) -> Iterator[str]:
        """Yield the lines of a log as they come; raises as `get`."""
        connection = self._connection(timeout=_SILENCE_SECONDS)
        try:
            answer = self._answer(connection, "GET", path, None, "application/json")
            for line in answer:
                yield line.decode(errors="replace").rstrip("\n")
        except http.client.HTTPException as error:
            raise OSError(f"the log broke off: {error!r}") from error
        finally:
            connection.close()

    def _json(
        self, method: str, path: str, body: Object | None = None, content: str = "application/json"
    ) -> Object:
        connection = self._connection(timeout=_TIMEOUT_SECONDS)
        try:
            found: Object = json.loads(self._answer(connection, method, path, body, content).read())
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        return found

    def _answer(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Object | None,
        content: str,
    ) -> http.client.HTTPResponse:
        # Read anew for each request: Kubernetes replaces it every hour.
        token = (self._account / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Content-Type": content}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        if answer.status >= http.client.BAD_REQUEST:
            text = answer.read(10_000).decode(errors="replace")
            raise KubeError(answer.status, f"{method} {path}: {answer.status} {_message(text)}")
        return answer

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if not self._encrypted:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        trusted = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=trusted)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
