"""Publishing: what is committed in the master becomes a generation in the object store.

Lock the master, ask it for its facts, scan it once, upload the blocks that the parent generation lacks,
then the block index, then the manifest, and last an entry of the log. A crash before that leaves objects
that nobody refers to; a crash after it leaves a complete generation. Doing it again is always right.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from stockpipeline.store.content import Content, Pages
from stockpipeline.store.contracts import Contract, check
from stockpipeline.store.errors import Fenced, Forked
from stockpipeline.store.facts import MasterFacts, fingerprint, read_facts
from stockpipeline.store.log import Log
from stockpipeline.store.manifest import LogEntry, Manifest, encode, manifest_key
from stockpipeline.store.master import LockedMaster
from stockpipeline.store.object_store import ObjectStore
from stockpipeline.store.ownership import Claim, OwnershipFile
from stockpipeline.store.upload import Upload, load_parent


class PublishReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication did; `published` is False where HEAD already is what the master holds."""

    published: bool
    generation: int
    root: str
    size: int
    commit: int
    batch: str
    changed_blocks: int
    uploaded_bytes: int
    seconds: float


class Publisher:
    """Publishes one master into one object store, as one writer with one epoch."""

    def __init__(
        self,
        store: ObjectStore,
        master: Path,
        *,
        writer: str,
        contracts: Sequence[Contract] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = Log(store)
        self._content = Content(store)
        self._store = store
        self._master = master
        self._writer = writer
        self._contracts = contracts
        self._now = now
        self._ownership = OwnershipFile(master, store.url)
        self._pages: Pages = {}

    def take_over(self) -> int:
        """Become the one writer: all others are fenced from now on. Return the epoch.

        Raises:
            Fenced: another writer took over at the same moment.
            Unavailable: the store does not answer.
        """
        with self._ownership.lock():
            claim, _ = self._claim(self._log.head())
            return claim.epoch

    def publish(self, *, accept_fork: bool = False, repair: bool = False) -> PublishReport:
        """Make the master's last commit the newest generation.

        With `repair`, every block that HEAD refers to is read, and those that are damaged are uploaded anew.

        Raises:
            MasterBusy, MasterUnusable, MasterChanged: see there; nothing was published.
            Fenced: a newer writer has taken over.
            Forked: the master does not contain the commit that was published last; `accept_fork` publishes it
                nevertheless, and replicas hold until they are told to follow.
            ContractBroken: the schema lacks what a reader needs.
            Unavailable: the store does not answer.
        """
        started = time.monotonic()
        with self._ownership.lock(), LockedMaster(self._master) as master:
            claim, head = self._own_head()
            facts = read_facts(self._master, head.commit if head is not None else None)
            lineage = self._lineage(head, facts, accept_fork)
            check(self._contracts, facts.schema, f"the schema of master {self._master}")
            parent = load_parent(self._content, head, self._pages)
            if repair:
                parent = parent.without_damaged(self._content)
            upload = Upload(self._content, parent, head.generation + 1 if head is not None else 1)
            upload.run(master)
            same = parent.manifest is not None and (parent.manifest.root, parent.manifest.lineage) == (
                upload.root,
                lineage,
            )
            if same and not upload.blocks:
                assert parent.manifest is not None
                return _report(started, False, parent.manifest)
            manifest = self._manifest(claim, head, facts, lineage, upload)
            key = manifest_key(manifest.generation, encode(manifest))
            self._store.put(key, encode(manifest))
            self._append(claim, head, manifest, key)
            self._ownership.confirm(claim)
            return _report(started, True, manifest)

    def _own_head(self) -> tuple[Claim, LogEntry | None]:
        """Return HEAD and the claim by which this writer may go on from it."""
        head = self._log.head()
        claim = self._ownership.read()
        if claim is None:  # this master was never published here
            return self._claim(head)
        if head is None:
            return claim, None
        if head.owner == claim.owner:
            self._ownership.confirm(claim)
            return claim, head
        if not claim.confirmed:  # killed while it claimed
            return self._claim(head)
        raise Fenced(
            f"{head.writer} has taken over {self._store.url} with epoch {head.epoch}; this writer has epoch "
            f"{claim.epoch} and publishes no more (to take over again: publish --take-over)"
        )

    def _claim(self, head: LogEntry | None) -> tuple[Claim, LogEntry | None]:
        claim = self._ownership.new_claim(head.epoch + 1 if head is not None else 1)
        if head is None:  # the first generation makes the claim known
            return claim, None
        entry = msgspec.structs.replace(
            head,
            number=head.number + 1,
            previous=head.digest(),
            nonce=secrets.token_hex(16),
            epoch=claim.epoch,
            owner=claim.owner,
            writer=self._writer,
        )
        self._log.append(entry)
        self._ownership.confirm(claim)
        return claim, entry

    def _lineage(self, head: LogEntry | None, facts: MasterFacts, accept_fork: bool) -> str:
        if head is None:
            return secrets.token_hex(16)
        if facts.continues:
            return head.lineage
        if accept_fork:
            return secrets.token_hex(16)
        assert head.commit is not None
        raise Forked(
            f"master {self._master} does not contain commit {head.commit.number} ({head.commit.batch}) of "
            f"generation {head.generation} in {self._store.url}: it was restored from an older backup, or "
            f"is another master. Restore generation {head.generation} as the master, or publish with "
            "--accept-fork"
        )

    def _manifest(
        self, claim: Claim, head: LogEntry | None, facts: MasterFacts, lineage: str, upload: Upload
    ) -> Manifest:
        now_ms = round(self._now() * 1000)
        return Manifest(
            generation=upload.generation,
            parent_root=head.root if head is not None else None,
            lineage=lineage,
            epoch=claim.epoch,
            writer=self._writer,
            size=upload.size,
            root=upload.root,
            pages=[str(ref) for ref in upload.pages],
            commit=facts.commit,
            schema=facts.schema,
            schema_fingerprint=fingerprint(facts.schema),
            tables=facts.tables,
            duckdb_version=facts.duckdb_version,
            storage_version=facts.storage_version,
            # A clock that went back must not make a generation look older than its parent.
            published_ms=max(now_ms, head.published_ms + 1) if head is not None else now_ms,
            changed_blocks=upload.blocks,
            uploaded_bytes=upload.sent,
        )

    def _append(self, claim: Claim, head: LogEntry | None, manifest: Manifest, key: str) -> None:
        """Write the entry that makes the generation visible."""
        while True:
            try:
                self._log.append(_entry(claim, head, manifest, key))
                return
            except Fenced:
                # Garbage collection writes entries as well. It changes neither owner nor generation.
                newest = self._log.head()
                if (
                    newest is None
                    or head is None
                    or newest.number == head.number
                    or (newest.owner, newest.generation) != (head.owner, head.generation)
                ):
                    raise
                head = newest


def _entry(claim: Claim, head: LogEntry | None, manifest: Manifest, key: str) -> LogEntry:
    return LogEntry(
        number=head.number + 1 if head is not None else 1,
        previous=head.digest() if head is not None else "",
        nonce=secrets.token_hex(16),
        epoch=claim.epoch,
        owner=claim.owner,
        writer=manifest.writer,
        lineage=manifest.lineage,
        generation=manifest.generation,
        manifest=key,
        root=manifest.root,
        commit=manifest.commit,
        published_ms=manifest.published_ms,
        catalog=head.catalog if head is not None else None,
    )


def _report(started: float, published: bool, manifest: Manifest) -> PublishReport:
    return PublishReport(
        published=published,
        generation=manifest.generation,
        root=manifest.root,
        size=manifest.size,
        commit=manifest.commit.number,
        batch=manifest.commit.batch,
        changed_blocks=manifest.changed_blocks if published else 0,
        uploaded_bytes=manifest.uploaded_bytes if published else 0,
        seconds=round(time.monotonic() - started, 3),
    )
