"""When a Lease may be taken. Pure: what was read and when comes in, the answer and the next record go out.

The rules are those of client-go's leaderelection. No clock is compared with another machine's: a candidate
counts from the moment at which *it* saw the record change last, and the holder counts from before it sent its
last renewal. The candidate's count begins later, and is longer (`DURATION` against `RENEW_DEADLINE`), so the
holder has stopped writing when the Lease can be taken.
"""

import datetime
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

# A kill is noticed after DURATION and at most two looks of a candidate: 12 s.
DURATION = 10.0
RENEW_DEADLINE = 7.0
RENEW_EVERY = 2.0
LOOK_EVERY = 1.0


@dataclass(frozen=True)
class Record:
    """What a Lease says; an empty holder has given it up."""

    holder: str
    duration: float
    renewed: str
    transitions: int
    version: str = ""
    """The resourceVersion, by which a write is refused if somebody else was faster."""

    @classmethod
    def of(cls, lease: Object) -> "Record":
        """Read a Lease object."""
        spec = lease.get("spec", {})
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=float(spec.get("leaseDurationSeconds") or DURATION),
            renewed=str(spec.get("renewTime", "")),
            transitions=int(spec.get("leaseTransitions") or 0),
            version=lease["metadata"]["resourceVersion"],
        )


class Election:
    """One participant's view of a Lease."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.seen: Record | None = None
        self._before: Record | None = None
        self._changed_at = 0.0

    def see(self, record: Record | None, now: float) -> None:
        """Take notice of the Lease, as read at `now` (seconds after the answer came)."""
        if record != self.seen:
            self._before, self.seen, self._changed_at = self.seen, record, now

    def may_take(self, now: float) -> bool:
        """Whether nobody can hold the Lease at `now`; one that was deleted may be held for a while yet."""
        last = self._before if self.seen is None else self.seen
        return last is None or not last.holder or now - self._changed_at > last.duration

    def next_spec(self, wall: datetime.datetime) -> Object:
        """The Lease's spec with which this participant takes or renews it; `wall` is for people to read."""
        stamp = wall.isoformat(timespec="microseconds").replace("+00:00", "Z")
        held = self.seen is not None and self.seen.holder == self.identity
        transitions = 0 if self.seen is None else self.seen.transitions + (not held)
        spec: Object = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(DURATION),
            "renewTime": stamp,
            "leaseTransitions": transitions,
        }
        return spec if held else spec | {"acquireTime": stamp}

    def given_up_spec(self, wall: datetime.datetime) -> Object:
        """The spec by which the holder lets others take the Lease at once."""
        return self.next_spec(wall) | {"holderIdentity": "", "leaseDurationSeconds": 1}
