"""An orderly end: SIGTERM and SIGINT ask for it, the main loop drains, a grace period bounds it."""

import signal
import threading
import time
from types import FrameType


class Shutdown:
    """Says whether the process was asked to end, and how long it may still take.

    A second signal ends the process at once, as if there were no handler.
    """

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._event = threading.Event()
        self._deadline = float("inf")

    def install(self) -> None:
        """Handle SIGTERM and SIGINT from now on; call it in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def request(self) -> None:
        """Ask for the end, as a signal does."""
        if not self._event.is_set():
            self._deadline = time.monotonic() + self._grace_seconds
            self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the process was asked to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake up at once when the end is asked for; return whether it was."""
        return self._event.wait(seconds)

    def remaining_seconds(self) -> float:
        """Seconds of the grace period that are left; infinite before the end is asked for, never below 0."""
        return max(0.0, self._deadline - time.monotonic())

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.request()
