"""Airflow's own API: without a password in the same pod, with one elsewhere."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

_TIMEOUT_SECONDS = 10.0


class AirflowUnavailable(Exception):
    """It does not answer, or refuses; the text says how."""


@dataclass(frozen=True)
class Login:
    """Who asks."""

    user: str
    password: str = field(repr=False)


class AirflowApi:
    """A client of Airflow's REST API v2. Without a login, it is one that gives everybody a token."""

    def __init__(self, url: str, login: Login | None = None) -> None:
        self._url = url.rstrip("/")
        self._login = login
        self._token = ""
        # A proxy has another loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def health(self) -> dict[str, str | None]:
        """Return the parts of Airflow, each with `healthy`, `unhealthy` or None where it does not run.

        Raises:
            AirflowUnavailable: the API itself does not answer.
        """
        self._ask("GET", "/execution/health")  # where tasks report; it starts with its first request
        found = self._ask("GET", "/api/v2/monitor/health")
        return {name: part.get("status") for name, part in found.items() if isinstance(part, dict)}

    def paused(self, tag: str) -> dict[str, bool]:
        """Return for each DAG with a tag whether it is paused; raises as `health`."""
        found: dict[str, bool] = {}
        while True:
            page = self._call("GET", f"/api/v2/dags?tags={tag}&limit=100&offset={len(found)}")
            found.update((one["dag_id"], one["is_paused"]) for one in page["dags"])
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def pause(self, dag: str, paused: bool) -> None:
        """Pause a DAG or let it run; raises as `health`."""
        self._call("PATCH", f"/api/v2/dags/{dag}?update_mask=is_paused", {"is_paused": paused})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if not self._token:
            self._token = self._new_token()
        try:
            return self._ask(method, path, body)
        except AirflowUnavailable:
            self._token = ""  # it may have come of age
            raise

    def _new_token(self) -> str:
        if self._login is None:
            answer = self._ask("GET", "/auth/token")
        else:
            who = {"username": self._login.user, "password": self._login.password}
            answer = self._ask("POST", "/auth/token", who)
        return str(answer["access_token"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - HTTP
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
            raise AirflowUnavailable(f"{method} {path}: {error}") from error
        return found
