"""The block index of a generation: for each block its hash, and in which generation it was uploaded.

A block's key in the object store is made of both. So a new generation refers to a block either because its
parent does, or because it has just uploaded it under a key of its own; a key that no generation refers to any
more is never referred to again, and may be deleted at any later time without looking at a clock.

An index is cut into pages of 256 entries, objects of their own: of the 20,000 entries of a 5 GB database, a
generation that changes six blocks uploads at most six pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stockpipeline.store.blocks import HASH_BYTES, block_hash
from stockpipeline.store.errors import Damaged

PAGE_ENTRIES = 256
_BIRTH_BYTES = 8
_ENTRY_BYTES = HASH_BYTES + _BIRTH_BYTES


@dataclass(frozen=True, order=True)
class Ref:
    """A named piece of content: its hash, and the generation that uploaded it."""

    birth: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.birth:012d}/{self.digest.hex()}"


BlockIndex = tuple[Ref, ...]
"""One reference for each block of a database file, in order."""


def inherit(parent: Sequence[Ref], hashes: Sequence[bytes], generation: int) -> BlockIndex:
    """Return the index of a new generation: what the parent has keeps its reference, the rest is born now."""
    births = {ref.digest: ref.birth for ref in parent}
    return tuple(Ref(births.get(digest, generation), digest) for digest in hashes)


def encode_pages(index: Sequence[Ref]) -> list[bytes]:
    """Return the pages of the index: entries of 32 bytes of hash and a uint64 (little-endian) of birth."""
    return [
        b"".join(
            ref.digest + ref.birth.to_bytes(_BIRTH_BYTES, "little") for ref in index[at : at + PAGE_ENTRIES]
        )
        for at in range(0, len(index), PAGE_ENTRIES)
    ]


def decode_page(page: bytes) -> list[Ref]:
    """Return the entries of a page.

    Raises:
        Damaged: it does not consist of whole entries.
    """
    if len(page) % _ENTRY_BYTES:
        raise Damaged(f"a page of the block index has {len(page)} bytes, no multiple of {_ENTRY_BYTES}")
    return [
        Ref(int.from_bytes(page[at + HASH_BYTES : at + _ENTRY_BYTES], "little"), page[at : at + HASH_BYTES])
        for at in range(0, len(page), _ENTRY_BYTES)
    ]


def page_refs(parent_pages: Sequence[Ref], pages: Sequence[bytes], generation: int) -> tuple[Ref, ...]:
    """Return the references of an index's pages; those that the parent has keep theirs."""
    return inherit(parent_pages, [block_hash(page) for page in pages], generation)
