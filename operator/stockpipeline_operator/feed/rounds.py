"""Asks about every pipeline from time to time, in a thread of its own."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

Key = tuple[str, str]
_AT_ONCE = 4
_log = structlog.get_logger()


class Rounds:
    """One thread that starts a round every `seconds`, and a few that `ask`."""

    def __init__(
        self, name: str, seconds: float, keys: Callable[[], Iterable[Key]], ask: Callable[[Key], None]
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._keys = keys
        self._ask = ask
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after the answers that it waits for."""
        self._stop.set()

    def round(self) -> None:
        """Ask about every pipeline once."""
        keys = list(self._keys())
        if not keys:
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=self._name) as pool:
            list(pool.map(self._ask, keys))

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.round()
            except Exception:
                # A bug or an answer nobody expected: the conditions of all pipelines would stand still.
                _log.exception("asking about the pipelines failed", of=self._name)
