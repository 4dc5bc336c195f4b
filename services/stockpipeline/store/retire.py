"""Which files of a replica go: all but the current and the previous generation, and those that readers hold.

The newest that goes becomes the spare, of which the next generation is made: a copy of 5 GB takes longer than
all the rest of a pull, while an old generation differs from the next one by what changed in between.
"""

import os
from contextlib import suppress
from pathlib import Path

from stockpipeline.store.files import lock_file_of_database, sync_folder
from stockpipeline.store.replica_folder import ReplicaFolder, Stored


def retire(folder: ReplicaFolder) -> list[str]:
    """Remove what nobody needs, holding the folder's lock; return the names of the generations that went."""
    current, previous = folder.current(), folder.previous()
    kept = {stored.name for stored in (current, previous) if stored is not None}
    gone: list[str] = []
    # Newest first: that one is the best spare.
    for stored in sorted(folder.stored(), key=lambda one: one.description.held.entry, reverse=True):
        if stored.name not in kept and _retire_one(folder, stored, spare=not gone):
            gone.append(stored.name)
    _sweep(folder)
    return gone


def open_base(path: Path) -> int | None:
    """Open a file to build in; None if a process still has it open as a database.

    The descriptor keeps every DuckDB from opening the file until it is closed.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        lock_file_of_database(descriptor, exclusive=True)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _retire_one(folder: ReplicaFolder, stored: Stored, *, spare: bool) -> bool:
    lease = folder.lease(stored.name, exclusive=True)
    if lease is None:
        return False
    try:
        if spare:
            # The index first, and it may be there from a kill: a base without one is only a worse start.
            with suppress(FileNotFoundError):
                stored.path.with_suffix(".index").replace(folder.spare.with_suffix(".index"))
            stored.path.replace(folder.spare)
        folder.discard(stored)
    finally:
        os.close(lease)
    return True


def _sweep(folder: ReplicaFolder) -> None:
    """Remove what killed pullers left: parts of generations that are not whole, leases and names of
    nothing."""
    whole = {stored.path.stem for stored in folder.stored()}
    for path in folder.generations.iterdir():
        if path.stem not in whole:
            path.unlink()
    for path in folder.leases.iterdir():
        if path.stem not in whole:
            path.unlink(missing_ok=True)
    for path in folder.path.glob(".tmp-*"):
        path.unlink(missing_ok=True)
    sync_folder(folder.generations)
