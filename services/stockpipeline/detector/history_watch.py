"""Hears of histories that have changed in Redis, beside the main loop: a Redis that hangs holds no ticks.

What it asks for is one small counter; only when that has changed, it reads the digests of all symbols.
"""

import threading

import structlog

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable

_SECONDS = 2.0
_log = structlog.get_logger()


class HistoryWatch:
    """Looks at the generation of the histories every few seconds, in a thread of its own."""

    def __init__(self, store: HistoryStore, seconds: float = _SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._generation: int | None = None
        self._news: dict[str, str] | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; waits for a request that is on its way."""
        self._ended.set()
        self._thread.join()

    def news(self) -> dict[str, str] | None:
        """Return the digest of each symbol's history if they have changed since the last call, else None.

        The first news is how they are at the beginning.
        """
        with self._lock:
            news, self._news = self._news, None
        return news

    def look(self) -> None:
        """Look once; where Redis cannot be reached, nothing is heard."""
        try:
            # The counter first: what changes between the two requests is seen by the next look.
            generation = self._store.generation()
            if generation == self._generation:
                return
            digests = self._store.digests()
        except HistoryUnavailable as error:
            _log.debug("the histories' generation is not known", why=str(error))
            return
        self._generation = generation
        with self._lock:
            self._news = digests

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()
