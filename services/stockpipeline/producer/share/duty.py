"""What one of several producers lets go and takes. Pure: time comes in, orders come out.

Each member holds a lease in a table that all share. Whenever members change, the table gets a new epoch, and
from its members follows who owns what (`units.owners`). Two rules keep any symbol from having two senders:

- A member says that it has *seen* an epoch only when it sends nothing any more that is not its own there, and
  Kafka has acknowledged all of it. Nobody takes anything before every member has seen the epoch.
- A member that is not heard of is taken out only when its lease has been over for some time. By its own clock
  it has stopped by then: it counts from before it asked for the lease, the table from after.

A table that was made anew (Redis lost it) knows nothing of leases that others may still hold, so nobody takes
anything for as long as one could last.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stockpipeline.producer.share.units import Units, owners


class Member(NamedTuple):
    """A producer in the table, and the newest epoch that it has seen."""

    name: str
    seen: int


class Table(NamedTuple):
    """The answer to a beat."""

    epoch: int
    quiet_seconds: float
    """For how long nobody may take anything yet."""
    members: Sequence[Member]


class Order(NamedTuple):
    """What to do now, in units; at most one of the two is not empty."""

    leave: frozenset[str]
    """Stop these, have Kafka acknowledge what was sent of them, then say `Duty.left`."""
    take: frozenset[str]
    """Begin with these: they are this member's from now on."""


_NOTHING: frozenset[str] = frozenset()


class Duty:
    """The duty of one member; times are seconds of its monotonic clock."""

    def __init__(self, name: str, which: Units, lease_seconds: float) -> None:
        self.name = name
        self.units = which
        self._lease_seconds = lease_seconds
        self._lease_until = float("-inf")
        self._lapsed = False
        self._quiet_until = float("inf")
        self._table = Table(0, 0.0, ())
        self._mine = _NOTHING
        self.have = _NOTHING
        """Units that this member sends, or has begun to let go."""
        self.seen = 0
        """The epoch to tell with the next beat."""

    def heard(self, table: Table, asked_at: float, now: float) -> None:
        """Take the answer to a beat that was sent at ``asked_at``."""
        if now >= self._lease_until and self.have:
            # In between, others may have taken what is here: it has to be let go first.
            self._lapsed = True
        self._lease_until = asked_at + self._lease_seconds
        self._quiet_until = now + table.quiet_seconds
        if table.epoch != self._table.epoch:
            names = [member.name for member in table.members]
            mine = owners(self.units, names)
            self._mine = frozenset(unit for unit, owner in mine.items() if owner == self.name)
        self._table = table

    def holds(self, now: float) -> bool:
        """Return whether the lease surely lasts, and has since what is here was taken."""
        return now < self._lease_until and not self._lapsed

    def order(self, now: float) -> Order:
        """Return what to do now."""
        if not self.holds(now):
            self.seen = 0
            return Order(self.have, _NOTHING)
        leave = self.have - self._mine
        if leave:
            return Order(leave, _NOTHING)
        self.seen = self._table.epoch
        take = self._mine - self.have
        if not take or self.unsettled(now):
            return Order(_NOTHING, _NOTHING)
        self.have = self._mine
        return Order(_NOTHING, take)

    def left(self, which: frozenset[str]) -> None:
        """Note that these units are let go: nothing of them will reach Kafka any more."""
        self.have -= which
        self._lapsed = self._lapsed and bool(self.have)

    def unsettled(self, now: float) -> str | None:
        """Return what has to happen before units may be taken; None where nothing has."""
        if not self.holds(now):
            return "the lease in Redis is over"
        if now < self._quiet_until:
            return "Redis has no record of who sent what: leases that others may hold have to end"
        others = [one for one in self._table.members if one.name != self.name]
        late = sorted(one.name for one in others if one.seen != self._table.epoch)
        return f"these have not let go yet: {', '.join(late)}" if late else None

    def stands_by(self, now: float) -> bool:
        """Return whether everything belongs to others, and they may have it."""
        return not self._mine and not self.have and self.unsettled(now) is None

    @property
    def members(self) -> int:
        """How many producers share the symbols."""
        return len(self._table.members)
