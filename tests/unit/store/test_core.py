"""The pure core of the store: blocks, indexes, manifests, retention, contracts, lineage."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.store.blocks import (
    BLOCK_BYTES,
    HEADER_BYTES,
    block_count,
    block_hash,
    block_range,
    read_blocks,
    root_hash,
)
from stockpipeline.store.contracts import Contract, violations
from stockpipeline.store.errors import Damaged
from stockpipeline.store.index import (
    PAGE_ENTRIES,
    decode_page,
    encode_pages,
    inherit,
    page_refs,
)
from stockpipeline.store.lineage import Held, Step, decide
from stockpipeline.store.manifest import LogEntry, decode_entry, encode
from stockpipeline.store.retention import Published, Retention, keep

digests = st.integers(0, 40).map(lambda number: block_hash(str(number).encode()))


@given(st.integers(0, HEADER_BYTES + 5 * BLOCK_BYTES))
def test_blocks_cover_a_file_without_gap_or_overlap(size: int) -> None:
    reached = 0
    for number in range(block_count(size)):
        offset, length = block_range(number, size)
        assert (offset, length > 0) == (reached, True)
        reached += length
    assert reached == size


def test_reading_gives_each_block_and_notices_a_short_file() -> None:
    data = bytes(range(256)) * 1100
    blocks = [(number, bytes(part)) for number, part in read_blocks(io.BytesIO(data), len(data))]
    assert b"".join(part for _, part in blocks) == data
    assert [number for number, _ in blocks] == list(range(block_count(len(data))))
    with pytest.raises(EOFError, match="block 2"):
        list(read_blocks(io.BytesIO(data[:-1]), len(data)))


@given(st.lists(digests, min_size=2, max_size=30, unique=True), st.integers(1, 10**12))
def test_the_root_binds_content_order_and_size(hashes: list[bytes], size: int) -> None:
    root = root_hash(size, hashes)
    assert root == root_hash(size, list(hashes))
    assert root != root_hash(size + 1, hashes)
    assert root != root_hash(size, hashes[:-1])
    assert root != root_hash(size, [hashes[1], hashes[0], *hashes[2:]])


@given(st.lists(digests, max_size=600), st.lists(digests, max_size=600))
def test_a_generation_refers_to_its_parent_or_to_what_it_uploads(old: list[bytes], new: list[bytes]) -> None:
    parent = inherit((), old, 1)
    index = inherit(parent, new, 2)
    assert [ref.digest for ref in index] == new
    for ref in index:
        assert (ref.birth == 2) == (ref.digest not in old)
        assert ref.birth == 2 or ref in parent


@given(st.lists(digests, max_size=3 * PAGE_ENTRIES))
def test_pages_carry_an_index_and_unchanged_ones_are_the_parents(hashes: list[bytes]) -> None:
    index = inherit((), hashes, 7)
    pages = encode_pages(index)
    assert [ref for page in pages for ref in decode_page(page)] == list(index)
    refs = page_refs((), pages, 7)
    assert page_refs(refs, encode_pages(inherit(index, hashes, 8)), 8) == refs


def test_a_page_with_half_an_entry_is_damaged() -> None:
    with pytest.raises(Damaged, match="41 bytes"):
        decode_page(bytes(41))


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def published(*ages: timedelta) -> list[Published]:
    """Generations 1, 2, … of these ages, oldest first."""
    return [
        Published(number, round((NOW - age).timestamp() * 1000))
        for number, age in enumerate(sorted(ages, reverse=True), 1)
    ]


def kept_ages(retention: Retention, *ages: timedelta) -> list[timedelta]:
    kept = keep(published(*ages), retention, round(NOW.timestamp() * 1000))
    return [age for number, age in enumerate(sorted(ages, reverse=True), 1) if number in kept]


def hours(*counts: float) -> list[timedelta]:
    return [timedelta(hours=count) for count in counts]


def test_all_of_the_last_hours_are_kept_by_when_they_stopped_being_the_newest() -> None:
    only_hours = Retention(hours=48, days=0, months=0)
    assert kept_ages(only_hours, *hours(1, 20, 47, 49, 60)) == hours(49, 47, 20, 1)


def test_one_a_day_and_one_a_month_are_kept() -> None:
    ages = [timedelta(days=day, hours=hour) for day in range(400) for hour in (1, 5)]
    kept = kept_ages(Retention(hours=0, days=35, months=12, grace_seconds=0), *ages)
    assert len([age for age in kept if age < timedelta(days=35)]) == 35
    assert len(kept) == 35 + 10  # the months of the days are among the twelve
    assert kept[-1] == timedelta(hours=1)


def test_what_was_the_newest_within_the_grace_is_kept() -> None:
    ages = [timedelta(seconds=1000), timedelta(seconds=500), timedelta(seconds=10)]
    assert len(kept_ages(Retention(hours=0, days=0, months=0, grace_seconds=100), *ages)) == 2
    assert len(kept_ages(Retention(hours=0, days=0, months=0, grace_seconds=0), *ages)) == 1
    assert keep([], Retention(), 0) == set()


def test_a_clock_in_the_past_loses_nothing() -> None:
    generations = published(*hours(1, 2, 3))
    long_ago = round((NOW - timedelta(days=900)).timestamp() * 1000)
    assert keep(generations, Retention(), long_ago) == {1, 2, 3}


def test_negative_retention_is_refused() -> None:
    with pytest.raises(ValueError, match="days is -1"):
        Retention(days=-1)


def test_a_contract_is_broken_by_less_and_not_by_more() -> None:
    contract = Contract("console", {"bars": {"symbol": "VARCHAR", "close": "DOUBLE"}, "signals": {"id": "X"}})
    whole = {"bars": {"symbol": "VARCHAR", "close": "DOUBLE", "more": "DATE"}, "signals": {"id": "X"}}
    assert violations(contract, whole) == []
    assert violations(contract, {"bars": {"symbol": "BIGINT"}}) == [
        "bars.symbol is BIGINT, not VARCHAR",
        "bars has no column close",
        "there is no table signals",
    ]


def entry(number: int, generation: int, **changes: object) -> LogEntry:
    made = LogEntry(
        number=number, previous="", nonce="n", epoch=1, owner="o", writer="w", lineage="l",
        generation=generation, manifest="m", root=f"root-{generation}", commit=None, published_ms=0,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


HELD = entry(5, 3)


@pytest.mark.parametrize(
    ("head", "same", "step", "reason"),
    [
        (HELD, HELD, Step.STAY, ""),
        (entry(6, 4), HELD, Step.ADVANCE, ""),
        (entry(6, 4), None, Step.ADVANCE, ""),
        (entry(6, 3, epoch=2), HELD, Step.STAY, ""),
        (entry(4, 2), None, Step.HOLD, "went back from entry 5"),
        (entry(6, 4), entry(5, 3, nonce="other"), Step.HOLD, "not the one that this replica followed"),
        (entry(6, 4, lineage="other"), HELD, Step.HOLD, "not a descendant of generation 3"),
        (entry(6, 2), HELD, Step.HOLD, "went back from generation 3"),
        (entry(6, 4, epoch=0), HELD, Step.HOLD, "went back from generation 3"),
        (entry(6, 3, root="other"), HELD, Step.HOLD, "another content"),
    ],
)
def test_a_replica_follows_descendants_only(
    head: LogEntry, same: LogEntry | None, step: Step, reason: str
) -> None:
    decision = decide(Held.of(HELD), head, same)
    assert decision.step is step
    assert reason in decision.reason
    assert decide(None, head, None).step is Step.ADVANCE


def test_an_entry_under_another_number_or_of_a_later_format_is_damaged() -> None:
    assert decode_entry(encode(HELD), HELD.key) == HELD
    with pytest.raises(Damaged, match="entry 5"):
        decode_entry(encode(HELD), entry(6, 3).key)
    with pytest.raises(Damaged, match="format 2 is not known"):
        decode_entry(encode(msgspec.structs.replace(HELD, format=2)), HELD.key)
