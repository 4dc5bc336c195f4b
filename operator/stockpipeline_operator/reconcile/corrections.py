"""Remembers how often objects had to be put right, so that a fight with somebody else slows down.

An edit is taken back at once. Where the same object is changed again and again, somebody else wants it in
another way, and two programs that overwrite each other load the API server and restart pods without end.
From the fourth correction on, each waits longer than the one before; ten minutes of peace end the streak.

Kept in memory: an operator that starts anew corrects at once, and slows down again.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from stockpipeline_operator.reconcile.state import ObjectRef

_AT_ONCE = 3
_FIRST_WAIT = datetime.timedelta(seconds=10)
_LONGEST_WAIT = datetime.timedelta(minutes=10)
_PEACE = datetime.timedelta(minutes=10)
Key = tuple[str, str]


@dataclass
class Streak:
    """Corrections of one object without peace between them."""

    count: int
    since: datetime.datetime
    again_at: datetime.datetime
    """Until then the object is left as others made it."""


def utc_now() -> datetime.datetime:
    """The time."""
    return datetime.datetime.now(datetime.UTC)


class Corrections:
    """The streaks of all pipelines. A pipeline is used by one thread at a time."""

    def __init__(self, now: Callable[[], datetime.datetime] = utc_now) -> None:
        self._now = now
        self._streaks: dict[Key, dict[ObjectRef, Streak]] = {}

    def made(self, key: Key, ref: ObjectRef) -> None:
        """Say that the object was put right just now."""
        now = self._now()
        before = self.streak(key, ref)
        count, since = (before.count + 1, before.since) if before else (1, now)
        wait = datetime.timedelta()
        if count >= _AT_ONCE:
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(count - _AT_ONCE, 16))
        self._streaks.setdefault(key, {})[ref] = Streak(count, since, now + wait)

    def streak(self, key: Key, ref: ObjectRef) -> Streak | None:
        """The streak that the object is in, if it is in one."""
        found = self._streaks.get(key, {}).get(ref)
        if found is not None and self._now() > found.again_at + _PEACE:
            del self._streaks[key][ref]
            return None
        return found

    def wait_seconds(self, streak: Streak) -> float:
        """How long the object is still left alone; 0 or less: no longer."""
        return (streak.again_at - self._now()).total_seconds()

    def forget(self, key: Key) -> None:
        """Drop what is kept of a pipeline that is gone."""
        self._streaks.pop(key, None)
