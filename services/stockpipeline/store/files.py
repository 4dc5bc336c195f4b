"""Writing files so that a crash at any moment leaves the old or the new one, never a part."""

import errno
import fcntl
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stockpipeline.store.errors import NoSpace

# struct flock of Linux: type, whence, start, length (0: to the end), pid.
_FLOCK = struct.Struct("hhqqi4x")


def sync_folder(folder: Path) -> None:
    """Make renames, links and removals in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that no other process uses, told apart by its prefix `.tmp-`."""
    return path.with_name(f".tmp-{secrets.token_hex(8)}")


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and make its content durable; its name is durable after `sync_folder`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with suppress_removal_of(path):
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file's content atomically and durably."""
    temporary = temporary_name(path)
    write_synced(temporary, data)
    temporary.replace(path)
    sync_folder(path.parent)


@contextmanager
def suppress_removal_of(path: Path) -> Iterator[None]:
    """Remove `path` if the block raises, for instance because the disk is full."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


@contextmanager
def space_needed(path: Path, size: int) -> Iterator[None]:
    """Raise NoSpace where the block finds the disk full; `size` is that of the whole file, in bytes."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpace(
            f"{path}: the disk is full; {size} bytes are needed: free some (what was there is as it was)"
        ) from error


def lock_file_of_database(descriptor: int, *, exclusive: bool) -> None:
    """Lock a database file against DuckDB in other processes, with the lock that DuckDB itself takes.

    DuckDB locks the whole file for reading or writing by fcntl, and drops that lock when *any* handle of the
    same file is closed in its process. This lock belongs to the open file (F_OFD_SETLK), so that closing
    another handle does not drop it. It ends when `descriptor` is closed. Exclusive needs a descriptor for
    writing.

    Raises:
        BlockingIOError: another process holds a lock against it.
    """
    kind = fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
    except PermissionError as error:  # POSIX lets a system say EACCES for a lock that is held
        raise BlockingIOError(str(error)) from error
