"""Which generations to keep: all of the last hours, then one a day, then one a month."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

_HOUR_MS = 3_600_000


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long generations stay restorable.

    All of the last `hours`; the last one of each of the last `days` days and `months` months (UTC) that have
    one. `grace_seconds` is how long a replica may need to pull: what was HEAD that recently is kept anyway.
    """

    hours: float = 48.0
    days: int = 35
    months: int = 12
    grace_seconds: float = 900.0

    def __post_init__(self) -> None:
        """Refuse what would keep less than nothing."""
        for name in ("hours", "days", "months", "grace_seconds"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"retention: {name} is {getattr(self, name)}, must be 0 or more")


class Published(msgspec.Struct, frozen=True, order=True):
    """A generation and when it was published, in milliseconds since the epoch."""

    generation: int
    published_ms: int


def keep(published: Iterable[Published], retention: Retention, now_ms: int) -> set[int]:
    """Return the generations to keep; the newest always is one of them."""
    history = sorted(published)
    if not history:
        return set()
    recent_ms = now_ms - max(retention.hours * _HOUR_MS, retention.grace_seconds * 1000)
    kept = {history[-1].generation}
    # A generation was HEAD until the next one came, so it is that one's time that counts.
    kept |= {one.generation for one, successor in pairwise(history) if successor.published_ms >= recent_ms}
    kept |= _last_of_each(history, "%Y-%m-%d", retention.days)
    kept |= _last_of_each(history, "%Y-%m", retention.months)
    return kept


def _last_of_each(history: Sequence[Published], period: str, count: int) -> set[int]:
    newest: dict[str, int] = {}
    for one in history:
        newest[datetime.fromtimestamp(one.published_ms / 1000, UTC).strftime(period)] = one.generation
    return {newest[name] for name in sorted(newest)[max(0, len(newest) - count) :]} if count else set()
