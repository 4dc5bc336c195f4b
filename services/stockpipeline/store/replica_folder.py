"""The folder of a replica: whole generations under unique names, and one pointer to the current one.

```
current -> generations/000000000017-1a2b3c4d-9f8e7d6c.duckdb   what readers open
previous -> …                                                  what was current before
generations/NAME.duckdb .json .index     a verified generation, its manifest, its block index
leases/NAME                              locked (flock, shared) by readers that have NAME open
incoming/build.duckdb                    a generation that is being put together
spare/base.duckdb .index                 an old generation that the next one is made of
status.json scrub.json lock
```

A file under `generations` is never written to. Names are unique because DuckDB keeps open databases by path:
measured, 345 of 345 queries after a rename over the same path still saw the old file.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stockpipeline.store.content import check_index
from stockpipeline.store.errors import Damaged, ReplicaBusy
from stockpipeline.store.files import replace_file, sync_folder, write_synced
from stockpipeline.store.index import BlockIndex, Ref, decode_page, encode_pages
from stockpipeline.store.lineage import Held
from stockpipeline.store.manifest import Manifest

DATABASE = ".duckdb"
_FOLDERS = ("generations", "leases", "incoming", "spare")


class Description(msgspec.Struct, frozen=True):
    """What is kept beside a generation's file: where in the store's history it stands, and its manifest."""

    held: Held
    manifest: Manifest


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the puller knows, in milliseconds since the epoch by this machine's clock.

    `fresh_ms`: when the current generation was last seen to be HEAD; `checked_ms`: when the store last
    answered. `trouble` says why the replica does not follow, None if it does.
    """

    checked_ms: int = 0
    fresh_ms: int = 0
    head_generation: int = 0
    head_published_ms: int = 0
    moved_bytes: int = 0
    trouble: str | None = None


@dataclass(frozen=True)
class Stored:
    """A generation in the folder."""

    path: Path
    description: Description

    @property
    def name(self) -> str:
        """The file's name, which no other file ever has."""
        return self.path.name

    @property
    def manifest(self) -> Manifest:
        """The generation's manifest."""
        return self.description.manifest

    def index(self) -> BlockIndex:
        """Return the block index, verified.

        Raises:
            Damaged: it is not that of the manifest.
        """
        return read_index(self.path.with_suffix(".index"), self.manifest)


class ReplicaFolder:
    """One replica's folder. Whatever changes it holds `lock()`; readers hold leases."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.generations = self.path / "generations"
        self.leases = self.path / "leases"
        self.incoming = self.path / "incoming" / f"build{DATABASE}"
        self.spare = self.path / "spare" / f"base{DATABASE}"
        self._status = self.path / "status.json"
        self._pointer = str(self.path / "current")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other pullers out; make the folder if there is none.

        Raises:
            ReplicaBusy: one is at work.
        """
        for name in _FOLDERS:
            (self.path / name).mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ReplicaBusy(f"another process is pulling into {self.path}") from None
            yield

    def current(self) -> Stored | None:
        """Return the generation that readers open, None before the first."""
        return self._pointed("current")

    def previous(self) -> Stored | None:
        """Return the generation that was current before."""
        return self._pointed("previous")

    def current_name(self) -> str | None:
        """Return the file name of the generation that readers open, None before the first; one system
        call."""
        try:
            return os.path.basename(os.readlink(self._pointer))  # noqa: PTH115, PTH119 - each read asks
        except FileNotFoundError:
            return None

    def find(self, name: str) -> Stored | None:
        """Return the generation with a file name, None where it is gone or not whole."""
        return _stored(self.generations / name)

    def stored(self) -> list[Stored]:
        """Return all complete generations, by name."""
        names = sorted(self.generations.glob(f"*{DATABASE}"))
        return [stored for path in names if (stored := _stored(path)) is not None]

    def install(self, description: Description, index: BlockIndex, previous: Stored | None) -> Stored:
        """Give the verified file in `incoming` a name of its own and make it current, durably."""
        manifest = description.manifest
        unique = f"{manifest.generation:012d}-{manifest.root[:8]}-{secrets.token_hex(4)}{DATABASE}"
        path = self.generations / unique
        write_synced(path.with_suffix(".json"), msgspec.json.encode(description))
        write_synced(path.with_suffix(".index"), b"".join(encode_pages(index)))
        self.incoming.rename(path)
        sync_folder(self.incoming.parent)
        sync_folder(self.generations)
        if previous is not None:
            self._point("previous", previous.path)
        self._point("current", path)
        return Stored(path, description)

    def discard(self, stored: Stored) -> None:
        """Remove a generation; processes that have it open keep what they have."""
        for part in (DATABASE, ".json", ".index"):
            stored.path.with_suffix(part).unlink(missing_ok=True)
        (self.leases / stored.name).unlink(missing_ok=True)
        sync_folder(self.generations)

    def describe(self, stored: Stored, description: Description) -> Stored:
        """Replace what is kept beside a generation."""
        replace_file(stored.path.with_suffix(".json"), msgspec.json.encode(description))
        return Stored(stored.path, description)

    def status(self) -> Status:
        """Return what the puller knows; all zero before it knows anything."""
        try:
            return msgspec.json.decode(self._status.read_bytes(), type=Status)
        except (FileNotFoundError, msgspec.MsgspecError):
            return Status()

    def set_status(self, status: Status) -> None:
        """Replace the status, atomically. It need not survive a power cut: the next check writes it anew."""
        temporary = self._status.with_name(f".tmp-{secrets.token_hex(8)}")
        temporary.write_bytes(msgspec.json.encode(status))
        temporary.replace(self._status)

    def lease(self, name: str, *, exclusive: bool) -> int | None:
        """Return a descriptor that holds a lease on a generation, None if others hold one against it.

        Readers share leases; a lease ends when its descriptor is closed, also by a kill.
        """
        descriptor = os.open(self.leases / name, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _pointed(self, pointer: str) -> Stored | None:
        try:
            target = (self.path / pointer).readlink()
        except FileNotFoundError:
            return None
        return _stored(self.generations / target.name)

    def _point(self, pointer: str, path: Path) -> None:
        temporary = self.path / f".tmp-{secrets.token_hex(8)}"
        temporary.symlink_to(path.relative_to(self.path))
        temporary.replace(self.path / pointer)
        sync_folder(self.path)


def read_index(path: Path, manifest: Manifest) -> BlockIndex:
    """Return the block index in a file, verified.

    Raises:
        Damaged: it is not that of the manifest.
    """
    try:
        index: tuple[Ref, ...] = tuple(decode_page(path.read_bytes()))
    except OSError as error:
        raise Damaged(f"{path}: {error.strerror}") from error
    check_index(manifest, index)
    return index


def _stored(path: Path) -> Stored | None:
    """Return the generation at a path, None where a part of it is missing or damaged."""
    with suppress(OSError, msgspec.MsgspecError):
        description = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Description)
        if path.is_file():
            return Stored(path, description)
    return None
