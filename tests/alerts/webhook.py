"""A webhook in the cluster that keeps what Alertmanager posts to it, and what of it a test waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cluster.shell import CommandError
from tests.listener import Listener

NAMESPACE = "alerts-webhook"
_LOOK_SECONDS = 8.0


class Webhook:
    """Reads what has come so far."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def alerts(self) -> Iterator[dict[str, Any]]:
        """Every alert of every message, in the order in which they came."""
        for body in self._listener.bodies():
            yield from json.loads(body)["alerts"]

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
