"""What a replica does about a new HEAD: follow it, stay, or hold and say why.

A replica never goes back by itself. A store that was restored from a backup, and a writer whose history
does not contain what was published, look like progress if only numbers are compared; so the identity of
what is held is compared as well.
"""

from dataclasses import dataclass
from enum import Enum

import msgspec

from stockpipeline.store.manifest import LogEntry


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica has: the log entry that it followed last, by number and hash, and what that said."""

    entry: int
    digest: str
    lineage: str
    epoch: int
    generation: int
    root: str

    @classmethod
    def of(cls, entry: LogEntry) -> "Held":
        """Return what a replica holds that has followed this entry."""
        return cls(
            entry=entry.number,
            digest=entry.digest(),
            lineage=entry.lineage,
            epoch=entry.epoch,
            generation=entry.generation,
            root=entry.root,
        )


class Step(Enum):
    """What to do next."""

    STAY = "stay"
    ADVANCE = "advance"
    HOLD = "hold"


@dataclass(frozen=True)
class Decision:
    """A step, and for HOLD the reason in words."""

    step: Step
    reason: str = ""


def decide(held: Held | None, head: LogEntry, same_entry: LogEntry | None) -> Decision:
    """Return what a replica that holds `held` does about `head`.

    `same_entry` is what the log has today under the number of the held entry, None if it no longer keeps it.
    """
    if held is None:
        return Decision(Step.ADVANCE)
    if head.number < held.entry:
        return _hold(f"the store went back from entry {held.entry} of its log to {head.number}")
    if same_entry is not None and same_entry.digest() != held.digest:
        return _hold(f"entry {held.entry} of the store's log is not the one that this replica followed")
    if head.lineage != held.lineage:
        return _hold(f"generation {head.generation} is not a descendant of generation {held.generation}")
    if head.epoch < held.epoch or head.generation < held.generation:
        return _hold(
            f"the store went back from generation {held.generation} of epoch {held.epoch} "
            f"to {head.generation} of {head.epoch}"
        )
    if head.generation == held.generation:
        if head.root != held.root:
            return _hold(f"generation {held.generation} has another content than it had")
        return Decision(Step.STAY)
    return Decision(Step.ADVANCE)


def _hold(reason: str) -> Decision:
    return Decision(Step.HOLD, f"{reason}: a fork or a restored backup; to adopt it, pull with --accept-fork")
