"""The API server's audit log: every request that the service accounts of one namespace make, one JSON a line.

Off unless asked for. A request is answered only when its line is written, so the log is complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_MOST_MEGABYTES = 4096  # it is never rotated away under its reader


@dataclass(frozen=True)
class Audit:
    """Of which namespace's service accounts to record the requests, and in which folder."""

    folder: Path
    namespace: str

    @property
    def log(self) -> Path:
        """The file of the records (`audit.k8s.io/v1` Events at the level Metadata)."""
        return self.folder / "audit.log"

    def options(self) -> list[str]:
        """Write the policy; return the API server's options."""
        self.folder.mkdir(parents=True, exist_ok=True)
        policy = self.folder / "audit-policy.json"
        policy.write_text(json.dumps(self._policy()))
        return [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.log}",
            f"--audit-log-maxsize={_MOST_MEGABYTES}",
        ]

    def _policy(self) -> dict[str, object]:
        accounts = f"system:serviceaccounts:{self.namespace}"
        return {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "userGroups": [accounts]}, {"level": "None"}],
        }
