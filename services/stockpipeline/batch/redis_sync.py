"""Brings the history in Redis to the store's state, by content: only what differs moves.

What differs is found from digests, so a first run, a second run on the same day, a week that was missed and a
split are one case. Whatever is written counts in one step (see ``adapters.history_redis``), and a run that
was killed anywhere leaves what the next one finds and mends. Symbols that the store no longer has stay for a
grace period: a day without data must not take a symbol away from the detector.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.market.bars import BarSeries

GRACE_SECONDS = 7 * 86_400.0


@dataclass(frozen=True)
class SyncPlan:
    """What to do so that Redis has what the store has."""

    write: frozenset[str]
    """Symbols whose series are new, differ, or are gone from Redis."""
    leaving: frozenset[str]
    """Symbols that the store lacks since now; they stay until their grace is over."""
    back: frozenset[str]
    """Symbols that the store lacked, and has again."""
    remove: frozenset[str]
    """Symbols whose grace is over."""


def plan_sync(
    wanted: Mapping[str, str],
    have: Mapping[str, str],
    leaving: Mapping[str, float],
    now: float,
    grace_seconds: float = GRACE_SECONDS,
) -> SyncPlan:
    """Compare digests by symbol; ``leaving`` says since when (epoch seconds) the store lacks a symbol."""
    absent = have.keys() - wanted.keys()
    over = {symbol for symbol in absent if now - leaving.get(symbol, now) >= grace_seconds}
    return SyncPlan(
        write=frozenset(symbol for symbol, digest in wanted.items() if have.get(symbol) != digest),
        leaving=frozenset(absent - leaving.keys()),
        back=frozenset(leaving.keys() - absent),
        remove=frozenset(over),
    )


@dataclass(frozen=True)
class Synced:
    """What a run did, in numbers of symbols."""

    symbols: int
    written: int
    removed: int
    leaving: int
    generation: int


def sync(
    store: HistoryStore,
    history: Mapping[str, BarSeries],
    *,
    force_full: bool = False,
    validate: bool = False,
    grace_seconds: float = GRACE_SECONDS,
    now: Callable[[], float] = time.time,
) -> Synced:
    """Make ``history`` what Redis has; return what had to be done.

    ``validate`` reads every series back and mends what differs by a byte; ``force_full`` writes all of them
    anew. Without either, digests are compared, and that every series is still there.

    Raises:
        EmptyHistory: there is nothing to bring.
        HistoryUnavailable: Redis cannot be reached.
    """
    if not history:
        raise EmptyHistory(
            "the store has no history of any symbol; Redis was left as it is: load the store first"
        )
    wanted = {symbol: series.digest() for symbol, series in history.items()}
    have = store.digests()
    for symbol in store.evicted({symbol: digest for symbol, digest in have.items() if symbol in wanted}):
        have[symbol] = ""
    leaving = store.leaving()
    moment = now()
    plan = plan_sync(wanted, have, leaving, moment, grace_seconds)
    write: Mapping[str, BarSeries] = {symbol: history[symbol] for symbol in plan.write}
    if force_full:
        write = history
    elif validate:
        write = store.differing(history)
    # Marks first: a run that is killed before its switch has only begun the grace.
    store.mark_leaving(plan.leaving, plan.back | plan.remove, moment)
    store.put_many(write, plan.remove)
    return Synced(
        symbols=len(history),
        written=len(write),
        removed=len(plan.remove),
        leaving=len(have.keys() - wanted.keys() - plan.remove),
        generation=store.generation(),
    )


class EmptyHistory(ValueError):
    """There is no history to bring to Redis."""
