"""One scan of the master: every block hashed, those that the parent lacks uploaded, then the index."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import structlog

from stockpipeline.store.blocks import block_hash, root_hash
from stockpipeline.store.content import Content, Pages
from stockpipeline.store.errors import Damaged, Missing
from stockpipeline.store.index import BlockIndex, Ref, encode_pages, inherit, page_refs
from stockpipeline.store.log import REQUESTS_AT_ONCE
from stockpipeline.store.manifest import LogEntry, Manifest
from stockpipeline.store.master import LockedMaster

_log = structlog.get_logger()

# Blocks in memory at once: 256 KiB each, raw and compressed.
_UPLOADS_IN_FLIGHT = 2 * REQUESTS_AT_ONCE


@dataclass(frozen=True)
class Parent:
    """What a new generation may refer to: blocks and pages of HEAD. Nothing in an empty store."""

    manifest: Manifest | None = None
    index: BlockIndex = ()
    pages: tuple[Ref, ...] = ()

    def without_damaged(self, content: Content) -> "Parent":
        """Return a parent without the blocks and pages that are not whole in the store; reads all of them."""
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            whole = list(pool.map(lambda ref: _is_whole(content, ref), self.index))
        # Pages that refer to a damaged block are written anew anyway.
        return replace(self, index=tuple(ref for ref, good in zip(self.index, whole, strict=True) if good))


def load_parent(content: Content, head: LogEntry | None, pages: Pages) -> Parent:
    """Return the parent that HEAD gives.

    Where its manifest or index is damaged, the next generation heals that by uploading everything anew.

    Raises:
        Unavailable: the store does not answer.
    """
    if head is None or head.manifest is None:
        return Parent()
    try:
        manifest = content.manifest(head.manifest)
        return Parent(manifest, content.index(manifest, pages), manifest.page_refs())
    except (Missing, Damaged) as error:
        _log.error("HEAD is damaged in the store: everything is uploaded anew", reason=str(error))
        return Parent()


class Upload:
    """Uploads what a generation needs: `blocks` blocks in `sent` bytes, pages included; once `run` returns.

    `size`, `root` and `pages` are then those of the generation.
    """

    def __init__(self, content: Content, parent: Parent, generation: int) -> None:
        self._content = content
        self._parent = parent
        self._sending: set[Future[int]] = set()
        self.generation = generation
        self.blocks = 0
        self.sent = 0
        self.size = 0
        self.root = ""
        self.pages: tuple[Ref, ...] = ()

    def run(self, master: LockedMaster) -> None:
        """Scan and upload.

        Raises:
            MasterChanged: the master was written to meanwhile.
            Unavailable: the store does not answer.
        """
        self.size = master.size
        hashes: list[bytes] = []
        known = {ref.digest for ref in self._parent.index}
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for _, data in master.blocks():
                digest = block_hash(data)
                hashes.append(digest)
                if digest not in known:
                    known.add(digest)
                    self.blocks += 1
                    self._send(pool, self._content.put_block, digest, bytes(data))
            self.root = root_hash(self.size, hashes)
            pages = encode_pages(inherit(self._parent.index, hashes, self.generation))
            self.pages = page_refs(self._parent.pages, pages, self.generation)
            there = set(self._parent.pages)
            for ref, page in zip(self.pages, pages, strict=True):
                if ref not in there:
                    there.add(ref)
                    self._send(pool, self._content.put_page, ref.digest, page)
            self._collect(0)

    def _send(
        self, pool: ThreadPoolExecutor, put: Callable[[Ref, bytes], int], digest: bytes, data: bytes
    ) -> None:
        self._collect(_UPLOADS_IN_FLIGHT - 1)
        self._sending.add(pool.submit(put, Ref(self.generation, digest), data))

    def _collect(self, at_most: int) -> None:
        """Wait until at most so many uploads are under way; raise what failed."""
        while len(self._sending) > at_most:
            done, self._sending = wait(self._sending, return_when=FIRST_COMPLETED)
            self.sent += sum(future.result() for future in done)


def _is_whole(content: Content, ref: Ref) -> bool:
    try:
        content.block(ref)
    except (Missing, Damaged):
        return False
    return True
