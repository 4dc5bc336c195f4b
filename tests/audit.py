"""Reads the audit log of an API server that `cluster.embedded.audit` set up."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True)
class Request:
    """One request; `resource` has the subresource behind a slash."""

    user: str
    agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    status: int
    at: datetime.datetime

    @classmethod
    def of(cls, event: dict[str, Any]) -> Request:
        """Read an `audit.k8s.io/v1` Event."""
        target = event.get("objectRef", {})
        resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
        return cls(
            user=event["user"]["username"],
            agent=event.get("userAgent", ""),
            verb=event["verb"],
            resource=resource or event["requestURI"],
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            status=event.get("responseStatus", {}).get("code", 0),
            at=datetime.datetime.fromisoformat(event["requestReceivedTimestamp"]),
        )

    @property
    def writes(self) -> bool:
        """Whether it was to change something."""
        return self.verb not in _READS

    @property
    def renews_the_lease(self) -> bool:
        """Whether it is the one kind of write that an idle operator makes."""
        return self.resource == "leases"


class AuditLog:
    """The records of one log file, which is still being written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """Now, as `since` takes it."""
        return self.path.stat().st_size if self.path.exists() else 0

    def since(self, mark: int = 0) -> list[Request]:
        """The requests that were answered since then; a watch counts once, when it was accepted."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(mark)
            lines = file.read().split(b"\n")[:-1]  # the last may be half a line
        events = [json.loads(line) for line in lines]
        return [
            Request.of(event)
            for event in events
            if event["verb"] != "watch" or event["stage"] == "ResponseStarted"
        ]
