"""Whether a service lives and whether it is ready, with reasons that a person can act on."""

import threading
import time
from collections.abc import Iterable

import structlog

_log = structlog.get_logger()
NOT_CHECKED = "not checked yet"


class Readiness:
    """Named checks, each fine or with the reason why not; ready when all are fine.

    Any thread may set and read it. A change is logged, a repetition is not,
    so a loop may say the same reason each second.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str | None] = dict.fromkeys(names, NOT_CHECKED)

    def waiting(self, name: str, reason: str) -> None:
        """Say why the check `name` is not fine."""
        if self._set(name, reason):
            _log.warning("not ready", check=name, reason=reason)

    def fine(self, name: str) -> None:
        """Say that the check `name` is fine."""
        if self._set(name, None):
            _log.info("check is fine", check=name)

    def reasons(self) -> dict[str, str | None]:
        """Return for each check the reason why it is not fine, or None."""
        with self._lock:
            return dict(self._reasons)

    @property
    def ready(self) -> bool:
        """Whether all checks are fine."""
        return not any(self.reasons().values())

    def _set(self, name: str, reason: str | None) -> bool:
        with self._lock:
            if name not in self._reasons:
                raise KeyError(f"no readiness check is called {name!r}; there are {sorted(self._reasons)}")
            changed = self._reasons[name] != reason
            self._reasons[name] = reason
            return changed


class Heartbeat:
    """The main loop beats; a loop that hangs is found by the age of its last beat."""

    def __init__(self, limit_seconds: float = 60.0) -> None:
        self.limit_seconds = limit_seconds
        self._last = time.monotonic()

    def beat(self) -> None:
        """Say that the main loop goes round."""
        self._last = time.monotonic()

    def age_seconds(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last

    @property
    def alive(self) -> bool:
        """Whether the last beat is young enough."""
        return self.age_seconds() <= self.limit_seconds
