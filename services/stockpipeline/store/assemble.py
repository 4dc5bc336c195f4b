"""Making a file into a generation: write the blocks that differ, then read all of it and trust nothing
before.

The file may be empty, a copy of another generation, or what a killed process left: whatever it holds, after
`assemble` every block has the hash that the index says, or an error was raised. The cost is that of the
blocks that differ, plus one sequential scan.
"""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stockpipeline.store.blocks import block_hash, block_range, read_blocks, root_hash
from stockpipeline.store.content import Content
from stockpipeline.store.errors import Damaged
from stockpipeline.store.files import space_needed
from stockpipeline.store.index import BlockIndex, Ref
from stockpipeline.store.log import REQUESTS_AT_ONCE
from stockpipeline.store.manifest import Manifest

_IN_FLIGHT = 2 * REQUESTS_AT_ONCE


@dataclass
class Moved:
    """Where the written blocks came from."""

    fetched_blocks: int = 0
    fetched_bytes: int = 0
    local_blocks: int = 0


class LocalBlocks:
    """The blocks of a file whose index is known, by hash; a file that turns out to differ is no source."""

    def __init__(self, path: Path, size: int, index: Sequence[Ref]) -> None:
        self._path = path
        self._places: Mapping[bytes, tuple[int, int]] = {
            ref.digest: block_range(number, size) for number, ref in enumerate(index)
        }

    def read(self, digest: bytes) -> bytes | None:
        """Return the block with this hash, None if it is not there or not what it was."""
        place = self._places.get(digest)
        if place is None:
            return None
        try:
            with self._path.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), place[1], place[0])
        except OSError:
            return None
        return data if block_hash(data) == digest else None


def assemble(
    path: Path,
    manifest: Manifest,
    index: BlockIndex,
    content: Content,
    *,
    claimed: Sequence[Ref] = (),
    local: LocalBlocks | None = None,
) -> Moved:
    """Make the file at `path` the generation of the manifest, durably; return where the blocks came from.

    `claimed` says what the file's blocks are believed to be, in order; it only saves work. Blocks come from
    `local` where it has them, from the object store otherwise.

    Raises:
        NoSpace: the disk is full.
        Missing, Unavailable: a block cannot be had.
        Damaged: a block in the store is not whole, or the disk gives back something else than was written.
    """
    writer = _BlockWriter(path, manifest.size, index, content, local)
    with space_needed(path, manifest.size), path.open("r+b", buffering=0) as file:
        os.truncate(file.fileno(), manifest.size)
        believed = [ref.digest for ref in claimed]
        differing = [
            number
            for number, ref in enumerate(index)
            if number >= len(believed) or believed[number] != ref.digest
        ]
        writer.write(file, differing)
        wrong = _scan(file, manifest, index)
        if wrong:
            writer.write(file, wrong)
            wrong = _scan(file, manifest, index)
            if wrong:
                raise Damaged(f"{path}: blocks {wrong[:5]} read back as something else than was written")
    return writer.moved


def wrong_blocks(path: Path, manifest: Manifest, index: BlockIndex) -> list[int]:
    """Return the numbers of a file's blocks that are not those of the generation; all of them if its size
    differs."""
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != manifest.size:
            return list(range(len(index)))
        return _scan(file, manifest, index)


def _scan(file: BinaryIO, manifest: Manifest, index: BlockIndex) -> list[int]:
    hashes = [block_hash(data) for _, data in read_blocks(file, manifest.size)]
    wrong = [number for number, ref in enumerate(index) if hashes[number] != ref.digest]
    if not wrong and root_hash(manifest.size, hashes) != manifest.root:
        raise Damaged(f"generation {manifest.generation}: all blocks match the index, the root does not")
    return wrong


class _BlockWriter:
    def __init__(
        self, path: Path, size: int, index: BlockIndex, content: Content, local: LocalBlocks | None
    ) -> None:
        self._path = path
        self._size = size
        self._index = index
        self._content = content
        self._local = local
        self._counting = threading.Lock()
        self.moved = Moved()

    def write(self, file: BinaryIO, numbers: Iterable[int]) -> None:
        """Write these blocks durably, and make sure that reading them again asks the disk."""
        written = []
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            pending: set[Future[None]] = set()
            try:
                for number in numbers:
                    written.append(number)
                    pending.add(pool.submit(self._write_one, file.fileno(), number))
                    if len(pending) >= _IN_FLIGHT:
                        done, pending = wait(pending, return_when=FIRST_COMPLETED)
                        for future in done:
                            future.result()
                for future in pending:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        os.fsync(file.fileno())
        for number in written:
            offset, length = block_range(number, self._size)
            os.posix_fadvise(file.fileno(), offset, length, os.POSIX_FADV_DONTNEED)

    def _write_one(self, descriptor: int, number: int) -> None:
        ref = self._index[number]
        data = self._local.read(ref.digest) if self._local is not None else None
        fetched = 0
        if data is None:
            block = self._content.block(ref)
            data, fetched = block.data, block.moved
        offset, length = block_range(number, self._size)
        if len(data) != length:
            raise Damaged(f"{self._path}: block {number} has {len(data)} bytes, its place {length}")
        view = memoryview(data)
        while view:
            count = os.pwrite(descriptor, view, offset)
            view, offset = view[count:], offset + count
        with self._counting:
            self.moved.local_blocks += fetched == 0
            self.moved.fetched_blocks += fetched > 0
            self.moved.fetched_bytes += fetched
