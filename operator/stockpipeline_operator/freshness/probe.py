"""Asks the producers of all running pipelines from time to time, beside the passes.

A producer that does not answer must not hold up a worker; and a pass is asked for only when a judgement
changes.
"""

import datetime
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.freshness.judgement import Followed, Judgement, judge
from stockpipeline_operator.freshness.readings import NoReading, Reading

Key = tuple[str, str]
_EVERY_SECONDS = 30.0
_AT_ONCE = 4


@dataclass
class _Entry:
    spec: StockPipelineSpec
    followed: Followed | None = None
    told: Judgement | None = None


class FreshnessProbe:
    """One thread that starts rounds, and a few that ask. May be used by many threads."""

    def __init__(
        self,
        read: Callable[[str, str], Reading],
        changed: Callable[[Key], None],
        now: Callable[[], datetime.datetime],
    ) -> None:
        self._read = read
        self._changed = changed
        self._now = now
        self._entries: dict[Key, _Entry] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="freshness", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after the answers that it waits for."""
        self._stop.set()

    def follow(self, key: Key, spec: StockPipelineSpec) -> Judgement | None:
        """Ask the pipeline's producers from now on; return the judgement so far, if there is any.

        There is none before the first answer: a restarted operator leaves what was reported as it is.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(spec))
            entry.spec = spec
            if entry.followed is None:
                return None
            entry.told = judge(spec, entry.followed, self._now())
            return entry.told

    def forget(self, key: Key) -> None:
        """Ask no more."""
        with self._lock:
            self._entries.pop(key, None)

    def round(self) -> None:
        """Ask for every pipeline once."""
        with self._lock:
            keys = list(self._entries)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="freshness") as pool:
            list(pool.map(self._ask, keys))

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self.round()

    def _ask(self, key: Key) -> None:
        try:
            reading = self._read(*key)
        except NoReading:
            # Whether the producer runs is another condition; its last tick grows old by itself.
            reading = None
        now = self._now()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return
            if reading is not None:
                before = entry.followed
                same = before is not None and before.reading.event_time == reading.event_time
                entry.followed = Followed(reading, before.moved_at if before is not None and same else now)
            if entry.followed is None:
                return
            news = judge(entry.spec, entry.followed, now)
            told = entry.told
        if told is None or (told.fresh, told.reason) != (news.fresh, news.reason):
            self._changed(key)
