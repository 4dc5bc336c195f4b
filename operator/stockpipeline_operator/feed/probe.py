"""Asks the producers of all running pipelines from time to time, beside the passes.

A producer that does not answer must not hold up a worker; and a pass is asked for only when there is news.
"""

import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.feed.fresh import Followed, judge_freshness
from stockpipeline_operator.feed.judgement import Judgement
from stockpipeline_operator.feed.rate import Rate, looked
from stockpipeline_operator.feed.readings import NoReading, Reading
from stockpipeline_operator.feed.rounds import Key, Rounds
from stockpipeline_operator.feed.sources import judge_sources

_EVERY_SECONDS = 30.0
# So many looks in a row without an answer: a pod that is replaced must not make conditions come and go.
_SILENCES = 3
_log = structlog.get_logger()


@dataclass(frozen=True)
class Feed:
    """What is said of a pipeline's feed."""

    fresh: Judgement
    sources: Judgement
    ticks_per_second: str | None
    """A step of `rate`; None: not known yet, or not any more."""

    @property
    def news(self) -> tuple[object, ...]:
        """What makes it worth a pass when it changes."""
        return self.fresh.holds, self.fresh.reason, self.sources, self.ticks_per_second


@dataclass
class _Entry:
    spec: StockPipelineSpec
    followed: Followed | None = None
    rate: Rate | None = None
    silences: int = 0
    told: Feed | None = None

    def judge(self, now: datetime.datetime) -> Feed | None:
        """What is known now; None before the first answer, and before it is late."""
        silent = self.silences >= _SILENCES
        if self.followed is None and not silent:
            return None
        reading = None if self.followed is None or silent else self.followed.reading
        return Feed(
            judge_freshness(self.spec, self.followed, now),
            judge_sources(self.spec, reading),
            None if self.rate is None or silent else self.rate.step,
        )


class FeedProbe:
    """Asks in rounds (see `Rounds`). May be used by many threads."""

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
        self._rounds = Rounds("feed", _EVERY_SECONDS, self._keys, self._ask)

    def start(self) -> None:
        """Start the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """Let the thread end after the answers that it waits for."""
        self._rounds.stop()

    def follow(self, key: Key, spec: StockPipelineSpec) -> Feed | None:
        """Ask the pipeline's producers from now on; return what is known so far, if there is anything.

        There is nothing before the first answer: a restarted operator leaves what was reported as it is.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(spec))
            entry.spec = spec
            entry.told = entry.judge(self._now())
            return entry.told

    def forget(self, key: Key) -> None:
        """Ask no more."""
        with self._lock:
            self._entries.pop(key, None)

    def round(self) -> None:
        """Ask for every pipeline once."""
        self._rounds.round()

    def _keys(self) -> list[Key]:
        with self._lock:
            return list(self._entries)

    def _ask(self, key: Key) -> None:
        try:
            reading = self._read(*key)
        except NoReading as error:
            _log.debug("a producer does not answer", namespace=key[0], pipeline=key[1], error=str(error))
            reading = None
        now = self._now()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return
            if reading is None:
                entry.silences += 1
            else:
                _take(entry, reading, now)
            news, told = entry.judge(now), entry.told
            entry.told = news
        if news is not None and (told is None or told.news != news.news):
            self._changed(key)


def _take(entry: _Entry, reading: Reading, now: datetime.datetime) -> None:
    before = entry.followed
    same = before is not None and before.reading.event_time == reading.event_time
    entry.silences = 0
    entry.followed = Followed(reading, before.moved_at if before is not None and same else now)
    entry.rate = looked(entry.rate, reading.ticks, now)
