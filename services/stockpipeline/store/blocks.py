"""A database file as a sequence of blocks, and the hashes that name them.

DuckDB writes a file as three headers of 4 KiB (one of the file, two that take turns to point to the newest
checkpoint) and then blocks of 256 KiB, each with a checksum. A checksum of DuckDB's says that a block was
written whole, not to which checkpoint it belongs: blocks of two generations in one file open without an error
and give wrong sums. So the root hash binds all blocks, their order and the size of the file.

Block 0 is the 12 KiB of headers; block i > 0 is DuckDB's block i - 1. The last one may be shorter.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from blake3 import blake3

HEADER_BYTES = 3 * 4096
BLOCK_BYTES = 256 * 1024
HASH_BYTES = 32

_ROOT_DOMAIN = b"stockpipeline generation 1\0"


def block_count(size: int) -> int:
    """Return the number of blocks of a file of `size` bytes."""
    if size <= HEADER_BYTES:
        return 1 if size > 0 else 0
    return 1 + -(-(size - HEADER_BYTES) // BLOCK_BYTES)


def block_range(number: int, size: int) -> tuple[int, int]:
    """Return offset and length, in bytes, of a block of a file of `size` bytes."""
    if not 0 <= number < block_count(size):
        raise IndexError(f"a file of {size} bytes has no block {number}")
    if number == 0:
        return 0, min(HEADER_BYTES, size)
    offset = HEADER_BYTES + (number - 1) * BLOCK_BYTES
    return offset, min(BLOCK_BYTES, size - offset)


def block_hash(data: bytes | memoryview) -> bytes:
    """Return the BLAKE3 hash of a block's bytes: 32 bytes."""
    return blake3(data).digest()


def root_hash(size: int, hashes: Iterable[bytes]) -> str:
    """Return 64 hex digits: BLAKE3 over a domain, the size (uint64, little-endian) and the blocks' hashes."""
    root = blake3(_ROOT_DOMAIN + size.to_bytes(8, "little"))
    for digest in hashes:
        root.update(digest)
    return root.hexdigest()


def read_blocks(file: BinaryIO, size: int) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of each block, in order; the bytes are valid until the next step.

    Raises:
        EOFError: the file is shorter than `size`.
    """
    buffer = memoryview(bytearray(BLOCK_BYTES))
    file.seek(0)
    for number in range(block_count(size)):
        _, length = block_range(number, size)
        part = buffer[:length]
        filled = 0
        while filled < length:
            count = file.readinto(part[filled:])  # type: ignore[attr-defined]  # typeshed: only of raw files
            if not count:
                raise EOFError(f"block {number} ends after {filled} of {length} bytes")
            filled += count
        yield number, part
