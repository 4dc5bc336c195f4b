"""Who gets which symbols, over any symbols, groups and members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.producer.share.units import owners, units

names = st.text("ABCDEFGHIJ", min_size=1, max_size=3)
members = st.sets(st.text("abc123/", min_size=1, max_size=6), min_size=1, max_size=6)


@given(st.sets(names, max_size=30), st.lists(st.sets(names, max_size=5), max_size=5), members)
def test_each_symbol_has_one_owner_and_groups_stay_together(
    symbols: set[str], groups: list[set[str]], some: set[str]
) -> None:
    which = units(symbols, groups)
    everything = symbols.union(*groups)
    assert sorted(s for unit in which.symbols.values() for s in unit) == sorted(everything)
    by_unit = owners(which, some)
    assert by_unit.keys() == which.symbols.keys()
    assert set(by_unit.values()) <= some
    owner_of = {symbol: by_unit[unit] for unit, those in which.symbols.items() for symbol in those}
    for group in groups:
        assert len({owner_of[symbol] for symbol in group}) <= 1


@given(st.sets(names, max_size=40), members, st.data())
def test_a_death_moves_only_what_the_dead_had(symbols: set[str], some: set[str], data: st.DataObject) -> None:
    which = units(symbols, ())
    dead = data.draw(st.sampled_from(sorted(some)))
    before, after = owners(which, some), owners(which, some - {dead})
    assert all(after.get(unit) == owner for unit, owner in before.items() if owner != dead)


@given(st.integers(1, 16), members)
def test_application_keys_are_counted_out_evenly(keys: int, some: set[str]) -> None:
    which = units((), [{f"S{key}-{number}" for number in range(3)} for key in range(keys)])
    by_unit = owners(which, some)
    counts = [list(by_unit.values()).count(member) for member in some]
    assert sum(counts) == keys
    assert max(counts) <= -(-keys // len(some))


def test_many_symbols_are_spread_about_evenly() -> None:
    which = units([f"S{number}" for number in range(3000)], ())
    by_unit = owners(which, {"one", "two", "three"})
    counts = [list(by_unit.values()).count(member) for member in ("one", "two", "three")]
    assert sum(counts) == 3000
    assert all(900 < count < 1100 for count in counts)
