"""The documents of the object store: the manifest of a generation, and the entries of the log.

All are JSON in UTF-8. A manifest is named after its own hash, so what is read is what was written. Times are
milliseconds since the epoch; they are told to people and used by retention, but nothing is ordered by them.

| key | what |
|---|---|
| `log/000000000042.json` | an entry of the log; the newest is HEAD |
| `catalogs/000000000042-HASH.json` | which generations could be restored when entry 42 was written |
| `manifests/000000000017-HASH.json` | the manifest of generation 17 |
| `pages/000000000017/HASH` | a page of a block index that was first needed by generation 17 |
| `blocks/000000000017/HASH` | a block (zstd) that was first needed by generation 17 |
"""

from typing import Any

import msgspec

from stockpipeline.store.blocks import block_hash
from stockpipeline.store.errors import Damaged
from stockpipeline.store.index import Ref

FORMAT = 1

LOG_PREFIX = "log/"
CATALOG_PREFIX = "catalogs/"
MANIFEST_PREFIX = "manifests/"
PAGE_PREFIX = "pages/"
BLOCK_PREFIX = "blocks/"

Schema = dict[str, dict[str, str]]
"""Table → column → DuckDB type, both in the order of the database."""


class Commit(msgspec.Struct, frozen=True):
    """A committed write transaction of a master: its number, a random id, what was loaded and when."""

    number: int
    id: str
    batch: str
    committed_ms: int


class TableFacts(msgspec.Struct, frozen=True):
    """What a table holds, exact and independent of row order: rows, and sums by name (see `facts`)."""

    rows: int
    sums: dict[str, str]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one generation, but its bytes.

    `size` in bytes; `root` as in `blocks.root_hash`; `pages` as `BIRTH/HASH` in order; `parent_root` is None
    in the first generation; `changed_blocks` were uploaded for it, taking `uploaded_bytes`.
    """

    format: int = FORMAT
    generation: int
    parent_root: str | None
    lineage: str
    epoch: int
    writer: str
    size: int
    root: str
    pages: list[str]
    commit: Commit
    schema: Schema
    schema_fingerprint: str
    tables: dict[str, TableFacts]
    duckdb_version: str
    storage_version: str
    published_ms: int
    changed_blocks: int
    uploaded_bytes: int

    def page_refs(self) -> tuple[Ref, ...]:
        """Return the references of the pages of the block index."""
        return tuple(_parse_ref(text) for text in self.pages)


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the store's history: a new generation, a writer that takes over, or a collection of
    garbage.

    `number` counts from 1 without gaps; `previous` is the hash of the entry before it; `nonce` is random, so
    that a writer knows its own entry again. `epoch` and `owner` (a token) say who may go on, see `ownership`;
    `writer` says it to people. `catalog` is the key of the newest catalog: it and the entries since
    tell all generations. `manifest` is the key of the newest generation's manifest, None before the first;
    the rest is that generation's.
    """

    format: int = FORMAT
    number: int
    previous: str
    nonce: str
    epoch: int
    owner: str
    writer: str
    lineage: str
    generation: int
    manifest: str | None
    root: str
    commit: Commit | None
    published_ms: int
    catalog: str | None = None

    @property
    def key(self) -> str:
        """The key of the entry in the object store."""
        return log_key(self.number)

    def published(self) -> "Generation | None":
        """Return the newest generation as a line of a catalog, None before the first."""
        if self.manifest is None:
            return None
        return Generation(self.generation, self.published_ms, self.manifest, self.root)

    def digest(self) -> str:
        """Return 64 hex digits, the hash of the entry."""
        return block_hash(encode(self)).hex()


class Generation(msgspec.Struct, frozen=True, order=True):
    """A generation that can be restored: its number, when it was published, its manifest's key and its
    root."""

    generation: int
    published_ms: int
    manifest: str
    root: str


class GenerationList(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog: all generations that can be restored, oldest first."""

    format: int = FORMAT
    generations: list[Generation]


def encode(document: msgspec.Struct) -> bytes:
    """Return the document as JSON; equal documents give equal bytes."""
    return msgspec.json.encode(document)


def decode_manifest(data: bytes, key: str) -> Manifest:
    """Return the manifest with this key.

    Raises:
        Damaged: the bytes are not those that the key names, or no manifest of a known format.
    """
    manifest: Manifest = _decode(data, key, Manifest)
    if manifest_key(manifest.generation, data) != key:
        raise Damaged(f"{key}: the content has another hash")
    return manifest


def decode_entry(data: bytes, key: str) -> LogEntry:
    """Return the log entry with this key.

    Raises:
        Damaged: it is none of a known format, or one with another number.
    """
    entry: LogEntry = _decode(data, key, LogEntry)
    if entry.key != key:
        raise Damaged(f"{key}: it says to be entry {entry.number}")
    return entry


def decode_catalog(data: bytes, key: str) -> GenerationList:
    """Return the catalog with this key; raise Damaged if it is none of a known format."""
    catalog: GenerationList = _decode(data, key, GenerationList)
    return catalog


def log_key(number: int) -> str:
    """Return the key of a log entry."""
    return f"{LOG_PREFIX}{number:012d}.json"


def catalog_key(number: int, data: bytes) -> str:
    """Return the key of a catalog with this content, to be named by the log entry with this number."""
    return f"{CATALOG_PREFIX}{number:012d}-{block_hash(data).hex()}.json"


def number_of(key: str) -> int:
    """Return the number that the name in a key begins with; raise ValueError for a key without one."""
    return int(key.split("/")[1][:12])


def manifest_key(generation: int, data: bytes) -> str:
    """Return the key of a manifest with this content."""
    return f"{MANIFEST_PREFIX}{generation:012d}-{block_hash(data).hex()}.json"


def page_key(ref: Ref) -> str:
    """Return the key of a page of a block index."""
    return f"{PAGE_PREFIX}{ref}"


def block_key(ref: Ref) -> str:
    """Return the key of a block."""
    return f"{BLOCK_PREFIX}{ref}"


def birth_of(key: str) -> int:
    """Return the generation in the key of a manifest, page or block; raise ValueError for other keys."""
    return number_of(key)


def _parse_ref(text: str) -> Ref:
    birth, _, digest = text.partition("/")
    return Ref(int(birth), bytes.fromhex(digest))


def _decode(data: bytes, key: str, kind: type[Any]) -> Any:
    try:
        document = msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise Damaged(f"{key}: {error}") from error
    if document.format != FORMAT:
        raise Damaged(
            f"{key}: format {document.format} is not known, only {FORMAT}; use a newer version to read it"
        )
    return document
