"""What the log refers to: manifests, block indexes and blocks, each verified when it is read."""

from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import zstandard

from stockpipeline.store.blocks import BLOCK_BYTES, block_count, block_hash, root_hash
from stockpipeline.store.errors import Damaged
from stockpipeline.store.index import BlockIndex, Ref, decode_page
from stockpipeline.store.log import REQUESTS_AT_ONCE
from stockpipeline.store.manifest import Manifest, block_key, decode_manifest, page_key
from stockpipeline.store.object_store import ObjectStore

# Level 3 packs what DuckDB has already compressed by another 10 to 30 %; higher ones gain little more.
_COMPRESSION_LEVEL = 3


class Block(NamedTuple):
    """A block's bytes, and how many bytes were moved for it."""

    data: bytes
    moved: int


Pages = MutableMapping[bytes, bytes]
"""Pages of block indexes by their hash: those that are here need not be fetched."""


class Content:
    """Reads and writes the content of generations in one object store; used by many threads at once.

    Reading raises Missing, Damaged or Unavailable, which name the object.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def manifest(self, key: str) -> Manifest:
        """Return the manifest with this key."""
        return decode_manifest(self._store.get(key), key)

    def index(self, manifest: Manifest, pages: Pages | None = None) -> BlockIndex:
        """Return a generation's block index; pages that had to be fetched are added to `pages`."""
        pages = {} if pages is None else pages
        wanted = [ref for ref in manifest.page_refs() if ref.digest not in pages]
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for ref, page in zip(wanted, pool.map(self._page, wanted), strict=True):
                pages[ref.digest] = page
        index = tuple(entry for ref in manifest.page_refs() for entry in decode_page(pages[ref.digest]))
        check_index(manifest, index)
        return index

    def block(self, ref: Ref) -> Block:
        """Return a block."""
        key = block_key(ref)
        packed = self._store.get(key)
        try:
            data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=BLOCK_BYTES)
        except zstandard.ZstdError as error:
            raise Damaged(f"{key} in {self._store.url}: {error}") from error
        if block_hash(data) != ref.digest:
            raise Damaged(f"{key} in {self._store.url}: the content has another hash")
        return Block(data, len(packed))

    def put_block(self, ref: Ref, data: bytes) -> int:
        """Write a block; return the bytes that were sent."""
        packed = zstandard.ZstdCompressor(_COMPRESSION_LEVEL).compress(data)
        self._store.put(block_key(ref), packed)
        return len(packed)

    def put_page(self, ref: Ref, page: bytes) -> int:
        """Write a page of a block index; return the bytes that were sent."""
        self._store.put(page_key(ref), page)
        return len(page)

    def _page(self, ref: Ref) -> bytes:
        data = self._store.get(page_key(ref))
        if block_hash(data) != ref.digest:
            raise Damaged(f"{page_key(ref)} in {self._store.url}: the content has another hash")
        return data


def check_index(manifest: Manifest, index: BlockIndex) -> None:
    """Raise Damaged unless the index is that of the manifest, by the number of blocks and the root."""
    if len(index) != block_count(manifest.size):
        raise Damaged(
            f"generation {manifest.generation}: {len(index)} blocks in the index, "
            f"{block_count(manifest.size)} in {manifest.size} bytes"
        )
    if root_hash(manifest.size, (ref.digest for ref in index)) != manifest.root:
        raise Damaged(f"generation {manifest.generation}: the block index has another root than the manifest")
