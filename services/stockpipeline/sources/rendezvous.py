"""Rendezvous (highest random weight) hashing: who gets what, so that a change of the members moves little.

Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998): each name goes to the member
with the highest hash of both. A member that comes takes only what it now owns, one that goes leaves only what
it had.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b


def weight(name: str, member: str) -> int:
    """Return the weight of a member for a name, the same in every process."""
    digest = blake2b(member.encode() + b"\0" + name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def ranked(name: str, members: Iterable[str]) -> list[str]:
    """Return the members in the order of their claim to a name."""
    return sorted(members, key=lambda member: (-weight(name, member), member))


def spread(names: Sequence[str], room: Mapping[str, int]) -> dict[str, list[str]]:
    """Give each name to the member with the best claim that has room left; return each member's names, in
    order.

    Earlier names choose first, so the order of names is their priority. Names for which nobody has room are
    in no list.
    """
    given: dict[str, list[str]] = {member: [] for member in room}
    left = dict(room)
    for name in names:
        open_members = [member for member, free in left.items() if free > 0]
        if not open_members:
            break
        best = max(open_members, key=lambda member: (weight(name, member), member))
        given[best].append(name)
        left[best] -= 1
    return given
