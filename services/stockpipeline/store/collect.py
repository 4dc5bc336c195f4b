"""Garbage in the object store: generations that retention gives up, and what nobody refers to.

First an entry of the log names the generations that stay, so that nobody begins to read another. Then every
object is listed, and what the remaining generations do not refer to is deleted. No lock is needed against
publishers: an object of a generation that is not above HEAD can only be referred to by what is there
already (see
`index`), and what is above HEAD is left alone.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from stockpipeline.store.content import Content, Pages
from stockpipeline.store.errors import NothingPublished
from stockpipeline.store.log import REQUESTS_AT_ONCE, Log
from stockpipeline.store.manifest import (
    BLOCK_PREFIX,
    CATALOG_PREFIX,
    LOG_PREFIX,
    MANIFEST_PREFIX,
    PAGE_PREFIX,
    Generation,
    GenerationList,
    LogEntry,
    birth_of,
    block_key,
    catalog_key,
    encode,
    number_of,
    page_key,
)
from stockpipeline.store.object_store import ObjectStore
from stockpipeline.store.retention import Published, Retention, keep

# Entries of the log stay for a while: replicas compare the one that they followed with what is there.
_KEPT_ENTRIES = 1000


class CollectReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was, or in a dry run would be, deleted."""

    kept: list[int]
    expired: list[int]
    deleted_objects: int
    deleted_bytes: int
    dry_run: bool


def collect(
    store: ObjectStore,
    retention: Retention,
    *,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> CollectReport:
    """Delete what retention gives up and what nobody refers to; safe at any time and while others publish.

    Raises:
        NothingPublished: the store is empty.
        Fenced: someone else wrote to the log at the same moment; do it again.
        Missing, Damaged, Unavailable: what stays could not be told; nothing but expired generations' names
            has gone then.
    """
    log = Log(store)
    head = log.head()
    if head is None or head.manifest is None:
        raise NothingPublished(f"{store.url} has no generation yet")
    generations = log.generations()
    wanted = keep(
        (Published(one.generation, one.published_ms) for one in generations), retention, round(now() * 1000)
    )
    kept = [one for one in generations if one.generation in wanted]
    if len(kept) < len(generations) and not dry_run:
        head = _announce(store, log, head, kept)
    live = _referred_to(store, kept)
    if head.catalog is not None:
        live.add(head.catalog)
    deleted = count = 0
    batch: list[str] = []
    for prefix in (MANIFEST_PREFIX, PAGE_PREFIX, BLOCK_PREFIX, CATALOG_PREFIX, LOG_PREFIX):
        for found in store.list(prefix):
            if found.key not in live and _is_old(found.key, prefix, head):
                batch.append(found.key)
                count, deleted = count + 1, deleted + found.size
        if not dry_run:
            store.delete(batch)
        batch.clear()
    if not dry_run:
        store.sweep_leftovers()
    return CollectReport(
        kept=[one.generation for one in kept],
        expired=[one.generation for one in generations if one.generation not in wanted],
        deleted_objects=count,
        deleted_bytes=deleted,
        dry_run=dry_run,
    )


def _announce(store: ObjectStore, log: Log, head: LogEntry, kept: Iterable[Generation]) -> LogEntry:
    """Write a catalog without the expired generations, and the entry that makes it valid."""
    number = head.number + 1
    data = encode(GenerationList(generations=list(kept)))
    key = catalog_key(number, data)
    store.put(key, data)
    entry = msgspec.structs.replace(
        head,
        number=number,
        previous=head.digest(),
        nonce=secrets.token_hex(16),
        catalog=key,
    )
    log.append(entry)
    return entry


def _referred_to(store: ObjectStore, kept: Iterable[Generation]) -> set[str]:
    """Return the keys of all manifests, pages and blocks of these generations."""
    content = Content(store)
    pages: Pages = {}
    live: set[str] = set()
    generations = list(kept)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for one, manifest in zip(
            generations, pool.map(lambda each: content.manifest(each.manifest), generations), strict=True
        ):
            live.add(one.manifest)
            live.update(page_key(ref) for ref in manifest.page_refs())
            live.update(block_key(ref) for ref in content.index(manifest, pages))
    return live


def _is_old(key: str, prefix: str, head: LogEntry) -> bool:
    """Return whether an object belongs to what is past, so that nobody can be about to refer to it."""
    if prefix == LOG_PREFIX:
        catalog = number_of(head.catalog) if head.catalog is not None else 0
        return number_of(key) < min(catalog, head.number - _KEPT_ENTRIES)
    if prefix == CATALOG_PREFIX:
        return number_of(key) <= head.number
    return birth_of(key) <= head.generation
