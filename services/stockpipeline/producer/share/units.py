"""What is given to a producer as a whole, and who gets it. Pure; the same in every producer of a pipeline."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from stockpipeline.sources.rendezvous import ranked, spread


class Units(NamedTuple):
    """The symbols of a pipeline in units, by the unit's name: its first symbol in the alphabet."""

    symbols: Mapping[str, tuple[str, ...]]
    few: bool
    """Whether units are application keys with their symbols: few and heavy, so that they are counted out
    evenly."""

    def symbols_of(self, names: Iterable[str]) -> set[str]:
        """Return the symbols of some units."""
        return {symbol for name in names for symbol in self.symbols[name]}


def units(symbols: Iterable[str], groups: Iterable[Collection[str]]) -> Units:
    """Return the units: groups that have a symbol in common are one, symbols of no group are alone."""
    whole: dict[str, set[str]] = {}
    grouped = False
    for group in groups:
        merged = set(group)
        if not merged:
            continue
        grouped = True
        for other in {id(whole[symbol]): whole[symbol] for symbol in group if symbol in whole}.values():
            merged |= other
        whole.update(dict.fromkeys(merged, merged))
    found = {min(group): tuple(sorted(group)) for group in whole.values()}
    found.update({symbol: (symbol,) for symbol in symbols if symbol not in whole})
    return Units(dict(sorted(found.items())), grouped)


def owners(which: Units, members: Collection[str]) -> dict[str, str]:
    """Return the member that owns each unit; nothing where there are no members.

    By rendezvous hashing: whoever leaves, leaves only its own units; whoever comes takes only what it now
    owns. Where units are few, no member gets more than its share of them, rounded up.
    """
    if not members:
        return {}
    if which.few:
        room = -(-len(which.symbols) // len(members))
        given = spread(list(which.symbols), dict.fromkeys(sorted(members), room))
        return {unit: member for member, mine in given.items() for unit in mine}
    return {unit: ranked(unit, members)[0] for unit in which.symbols}
