"""What this process remembers of its own attempts: locks that it found, and answers that were a clear no.

Kept in memory. A new process knows nothing: it watches a lock for a while, and asks again before it gives up.
"""

import time
from collections import Counter
from collections.abc import Callable

from stockpipeline_operator.reconcile.state import Release

# Longer than Helm takes for a revision: it waits for no workload.
_LOCK_SECONDS = 10.0
_CLEAR_REFUSALS = 3
# The deadline of a deletion may pass while no operator runs: what fails once then was not tried in vain.
_VAIN_DELETIONS = 3
# Answers of the API server that the same request would get again. All others may be different next time.
_CLEAR = ("is invalid", "is forbidden", "denied the request", "exceeded quota")
Key = tuple[str, str]


class Attempts:
    """By pipeline. One pipeline is used by one thread at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._locks: dict[Key, tuple[str, float]] = {}
        self._ours: set[Key] = set()
        self._refusals: dict[Key, tuple[str, int, str]] = {}
        self._deletions: Counter[Key] = Counter()

    def lock_seconds(self, key: Key, release: Release) -> float:
        """How long a pending revision must still stand still before it counts as left by a kill.

        Who works on it cannot be asked. But nobody takes longer than this for a revision, and what this
        process itself has failed to finish is nobody's work any more. Counted by our own clock from when we
        saw it first: clocks of others may be wrong.
        """
        if key in self._ours:
            return 0.0
        uid, since = self._locks.get(key, ("", 0.0))
        if uid != release.uid:
            since = self._now()
            self._locks[key] = (release.uid, since)
        return max(0.0, since + _LOCK_SECONDS - self._now())

    def failed(self, key: Key, digest: str, error: str) -> None:
        """Say that a change of the release ended with this error of Helm's."""
        if "another operation" in error and "in progress" in error:
            return
        self._ours.add(key)
        if any(text in error for text in _CLEAR):
            before, count, _ = self._refusals.get(key, ("", 0, ""))
            self._refusals[key] = (digest, count + 1 if before == digest else 1, error)

    def refusal(self, key: Key, digest: str) -> str | None:
        """Why nothing will come of this digest: the API server has refused it again and again."""
        refused, count, error = self._refusals.get(key, ("", 0, ""))
        return error if refused == digest and count >= _CLEAR_REFUSALS else None

    def deletion_failed(self, key: Key) -> None:
        """Say that a pass over a deletion failed."""
        self._deletions[key] += 1

    def deletion_hopeless(self, key: Key) -> bool:
        """Whether such passes have failed again and again."""
        return self._deletions[key] >= _VAIN_DELETIONS

    def succeeded(self, key: Key) -> None:
        """Forget the failures: a pass came to its end."""
        self._locks.pop(key, None)
        self._ours.discard(key)
        self._refusals.pop(key, None)
        self._deletions.pop(key, None)

    forget = succeeded
