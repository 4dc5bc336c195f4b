"""Pulling: bring a replica's folder to HEAD of the object store.

The new generation is built beside the old one, read back and verified as a whole, made durable, and only then
named. Readers see the old one or the new one, at any moment and after any crash.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from stockpipeline.store.assemble import LocalBlocks, Moved, assemble
from stockpipeline.store.blocks import block_hash
from stockpipeline.store.content import Content, Pages
from stockpipeline.store.contracts import Contract, check
from stockpipeline.store.errors import Damaged, NoSpace, NothingPublished, OnHold, StoreError
from stockpipeline.store.files import space_needed
from stockpipeline.store.index import BlockIndex, Ref, decode_page, encode_pages
from stockpipeline.store.lineage import Held, Step, decide
from stockpipeline.store.log import Log
from stockpipeline.store.manifest import LogEntry, Manifest
from stockpipeline.store.object_store import ObjectStore
from stockpipeline.store.replica_folder import Description, ReplicaFolder, Stored
from stockpipeline.store.retire import open_base, retire


class PullReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a pull did; `advanced` is False where the replica already was at HEAD."""

    advanced: bool
    generation: int
    root: str
    size: int
    fetched_blocks: int
    fetched_bytes: int
    local_blocks: int
    published_ms: int
    seconds: float


class Puller:
    """Keeps one folder at HEAD of one object store."""

    def __init__(
        self,
        store: ObjectStore,
        folder: Path,
        *,
        contracts: Sequence[Contract] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.folder = ReplicaFolder(folder)
        self._store = store
        self._log = Log(store)
        self._content = Content(store)
        self._contracts = contracts
        self._now = now
        self._head: LogEntry | None = None
        self._answered = False

    def pull(self, *, accept_fork: bool = False) -> PullReport:
        """Bring the folder to HEAD.

        Raises:
            ReplicaBusy: another process does.
            NothingPublished: the store is empty.
            OnHold: HEAD is no descendant of what is held; `accept_fork` follows it.
            ContractBroken: HEAD lacks what a reader needs; the generation before it stays.
            Unavailable, Missing, Damaged, NoSpace: HEAD could not be had; what is there stays.
        """
        started = time.monotonic()
        with self.folder.lock():
            try:
                report = self._pull(started, accept_fork)
            except StoreError as error:
                self._note(trouble=str(error))
                raise
            self._note(trouble=None, moved=report.fetched_bytes)
            return report

    def _pull(self, started: float, accept_fork: bool) -> PullReport:
        self._answered = False
        self._head = self._log.head(self._head)
        self._answered = True
        head, current = self._head, self.folder.current()
        if head is None or head.manifest is None:
            raise NothingPublished(f"{self._store.url} has no generation yet")
        held = current.description.held if current is not None else None
        if not accept_fork:
            decision = decide(held, head, self._same_entry(held, head))
            if decision.step is Step.HOLD:
                raise OnHold(f"replica {self.folder.path}: {decision.reason}")
        if current is not None and current.manifest.root == head.root and held is not None:
            if held != Held.of(head):
                current = self.folder.describe(current, Description(Held.of(head), current.manifest))
            retire(self.folder)
            return _report(started, current.manifest, None)
        manifest = self._content.manifest(head.manifest)
        check(self._contracts, manifest.schema, f"generation {manifest.generation} of {self._store.url}")
        index = self._content.index(manifest, _pages_of(current))
        try:
            with space_needed(self.folder.path, manifest.size):
                moved = self.build(manifest, index)
                self.folder.install(Description(Held.of(head), manifest), index, previous=current)
        except NoSpace:
            self.folder.incoming.unlink(missing_ok=True)
            raise
        retire(self.folder)
        return _report(started, manifest, moved)

    def index(self, stored: Stored) -> BlockIndex:
        """Return the block index of a generation, from its file or, where that is damaged, from the store.

        Raises:
            Missing, Damaged, Unavailable: neither has it.
        """
        try:
            return stored.index()
        except Damaged:
            return self._content.index(stored.manifest)

    def build(self, manifest: Manifest, index: BlockIndex) -> Moved:
        """Put the generation together in `incoming`, verified and durable, holding the folder's lock."""
        current = self.folder.current()
        local = None
        if current is not None:
            with suppress(Damaged):
                local = LocalBlocks(current.path, current.manifest.size, current.index())
        claimed = self._prepare_base(current, index)
        descriptor = open_base(self.folder.incoming)
        if descriptor is None:  # a reader outside of our leases still has the old file open
            self.folder.incoming.unlink()
            self.folder.incoming.touch()
            claimed = ()
        try:
            return assemble(
                self.folder.incoming, manifest, index, self._content, claimed=claimed, local=local
            )
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _prepare_base(self, current: Stored | None, target: BlockIndex) -> Sequence[Ref]:
        """Have a file in `incoming` to build in; return what its blocks are believed to be."""
        incoming, spare = self.folder.incoming, self.folder.spare
        if incoming.exists():  # of a killed pull: how far it got is found by reading
            return target
        claimed: Sequence[Ref] = ()
        if spare.exists():
            with suppress(Damaged, OSError):
                claimed = decode_page(spare.with_suffix(".index").read_bytes())
            spare.replace(incoming)
        elif current is not None:
            with suppress(Damaged):
                claimed = current.index()
            with current.path.open("rb") as source, incoming.open("wb") as copy:
                copy_all(source.fileno(), copy.fileno())
        else:
            incoming.touch()
        return claimed

    def _same_entry(self, held: Held | None, head: LogEntry) -> LogEntry | None:
        if held is None:
            return None
        return head if head.number == held.entry else self._log.entry(held.entry)

    def _note(self, *, trouble: str | None, moved: int = 0) -> None:
        """Tell readers how fresh the replica is."""
        status, head = self.folder.status(), self._head
        now_ms = round(self._now() * 1000)
        if self._answered and head is not None:
            status = msgspec.structs.replace(
                status,
                checked_ms=now_ms,
                head_generation=head.generation,
                head_published_ms=head.published_ms,
                fresh_ms=now_ms if trouble is None else status.fresh_ms,
                moved_bytes=status.moved_bytes + moved,
            )
        self.folder.set_status(msgspec.structs.replace(status, trouble=trouble))


def copy_all(source: int, target: int) -> None:
    """Copy a file by descriptors within the kernel; on file systems that can, the copies share their
    blocks."""
    remaining = os.fstat(source).st_size
    while remaining > 0:
        count = os.copy_file_range(source, target, remaining)
        if count == 0:
            return  # it became shorter: what is missing is found by reading
        remaining -= count


def _pages_of(current: Stored | None) -> Pages:
    """Return the pages of the block index that are here already, by hash."""
    if current is None:
        return {}
    try:
        return {block_hash(page): page for page in encode_pages(current.index())}
    except Damaged:
        return {}


def _report(started: float, manifest: Manifest, moved: Moved | None) -> PullReport:
    counted = moved if moved is not None else Moved()
    return PullReport(
        advanced=moved is not None,
        generation=manifest.generation,
        root=manifest.root,
        size=manifest.size,
        fetched_blocks=counted.fetched_blocks,
        fetched_bytes=counted.fetched_bytes,
        local_blocks=counted.local_blocks,
        published_ms=manifest.published_ms,
        seconds=round(time.monotonic() - started, 3),
    )
