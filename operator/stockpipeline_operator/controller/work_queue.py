"""A queue of keys with the properties of the one in Kubernetes' own controllers (client-go's workqueue).

A key is in it at most once. A key that is added while it is being worked on comes again afterwards, so one
key is never worked on by two threads, and no change is missed. Failures are retried after a growing delay.
A key has at most one appointment for later, the earliest it was given. The pass that begins next is it; what
is planned during that pass is for after it.

Keys come in the order of their priority, then of their arrival: a user's change does not wait behind a
thousand pipelines that a restart or a resync looks at.
"""

import heapq
import math
import random
import threading
import time
from collections import deque
from enum import IntEnum
from typing import Generic, TypeVar

Key = TypeVar("Key")

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 60.0


class Priority(IntEnum):
    """What comes first."""

    PROBE = 0
    CHANGE = 1
    ROUTINE = 2


def backoff_seconds(failures: int, chance: float) -> float:
    """The delay after so many failures in a row: doubling, at most a minute.

    `chance` (0 to 1) picks a point in its upper half, so that keys that failed together do not come together.
    """
    return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 16))) * (0.5 + chance / 2)


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker. May be used by many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # An entry that does not agree with `_wanted`, or that is being worked on, was overtaken by another.
        self._ready: dict[Priority, deque[Key]] = {priority: deque() for priority in Priority}
        self._wanted: dict[Key, Priority] = {}
        self._working: set[Key] = set()
        # Ordered by time. An entry that does not agree with `_due` was overtaken, and is passed over.
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._sequence = 0
        self._failures: dict[Key, int] = {}
        self._closed = False

    def add(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        """Ask for a pass over `key`; one that waits already keeps the higher of its priorities."""
        with self._changed:
            self._add(key, priority)

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a pass over `key` in some time; nothing changes if an earlier one is planned."""
        due = time.monotonic() + seconds
        with self._changed:
            if due >= self._due.get(key, math.inf):
                return
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._later, (due, self._sequence, key))
            self._changed.notify()

    def retry(self, key: Key) -> float:
        """Ask for another pass over a key that failed; return the delay in seconds."""
        with self._changed:
            self._failures[key] = self._failures.get(key, 0) + 1
            delay = backoff_seconds(self._failures[key], random.random())  # noqa: S311 - jitter, not secrecy
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget earlier failures of `key`."""
        with self._changed:
            self._failures.pop(key, None)

    def get(self) -> Key | None:
        """Wait for a key, which is then being worked on until `done`; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                wait = self._release_due()
                key = self._first()
                if key is not None:
                    del self._wanted[key]
                    self._due.pop(key, None)
                    self._working.add(key)
                    return key
                self._changed.wait(wait)
            return None

    def done(self, key: Key) -> None:
        """Say that the pass over `key` has ended."""
        with self._changed:
            self._working.discard(key)
            if key in self._wanted:
                self._ready[self._wanted[key]].append(key)
                self._changed.notify()

    def close(self) -> None:
        """Let every `get` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._wanted)

    def _add(self, key: Key, priority: Priority) -> None:
        if self._wanted.get(key, math.inf) <= priority:
            return
        self._wanted[key] = priority
        if key not in self._working:
            self._ready[priority].append(key)
            self._changed.notify()

    def _first(self) -> Key | None:
        for priority, keys in self._ready.items():
            while keys:
                key = keys.popleft()
                if self._wanted.get(key) is priority and key not in self._working:
                    return key
        return None

    def _release_due(self) -> float | None:
        """Move keys whose time has come; return the seconds until the next one."""
        now = time.monotonic()
        while self._later:
            due, _, key = self._later[0]
            planned = self._due.get(key) == due
            if planned and due > now:
                return due - now
            heapq.heappop(self._later)
            if planned:
                del self._due[key]
                self._add(key, Priority.CHANGE)
        return None
