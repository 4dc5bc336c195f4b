"""The master as its publisher sees it: locked against writers, closed, and the same from start to end of a
scan.

This runs in another process than the writer: a process that opens and closes a file loses all of its own
fcntl locks on it, DuckDB's among them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from stockpipeline.store.blocks import HEADER_BYTES, read_blocks
from stockpipeline.store.errors import MasterBusy, MasterChanged, MasterUnusable
from stockpipeline.store.files import lock_file_of_database

_MAGIC = b"DUCK"
_MAGIC_OFFSET = 8  # after the checksum of the first header


class LockedMaster:
    """A master that no writer can open while this is open; a context manager.

    DuckDB's own lock is used, so this holds for any program with DuckDB in it, not only for our writer.

    Raises (on entering):
        MasterUnusable: there is no such file, or it is not DuckDB's.
        MasterBusy: a process has it open for writing, or has ended without closing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        try:
            self._file: BinaryIO = self.path.open("rb", buffering=0)
        except OSError as error:
            raise MasterUnusable(f"master {self.path}: {error.strerror}") from error
        try:
            self._lock()
            self._header = self._read_header()
            self.size = os.fstat(self._file.fileno()).st_size
            self._stamp = self._now()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def blocks(self) -> Iterator[tuple[int, memoryview]]:
        """Yield number and bytes of each block, once and in order.

        Raises:
            MasterChanged: the file was written to meanwhile by something that does not know the lock.
        """
        try:
            yield from read_blocks(self._file, self.size)
        except EOFError as error:
            raise MasterChanged(f"master {self.path}: {error}") from error
        self.check_unchanged()

    def read_block(self, offset: int, length: int) -> bytes:
        """Return a part of the file."""
        return os.pread(self._file.fileno(), length, offset)

    def check_unchanged(self) -> None:
        """Raise MasterChanged if the file is not as it was on entering: headers, size and time of writing."""
        if os.pread(self._file.fileno(), HEADER_BYTES, 0) != self._header or self._now() != self._stamp:
            raise MasterChanged(
                f"master {self.path} was written to while it was read, past DuckDB's lock: "
                "nothing was published"
            )

    def _lock(self) -> None:
        try:
            lock_file_of_database(self._file.fileno(), exclusive=False)
        except BlockingIOError as error:
            raise MasterBusy(
                f"master {self.path} is open for writing: publish after its writer closed it"
            ) from error
        wal = self.path.with_name(f"{self.path.name}.wal")
        if wal.exists():
            raise MasterBusy(
                f"master {self.path} has a write-ahead log {wal.name}: its writer was stopped before it "
                "closed the file; start the writer again, which recovers it"
            )

    def _read_header(self) -> bytes:
        header = os.pread(self._file.fileno(), HEADER_BYTES, 0)
        if len(header) < HEADER_BYTES or header[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] != _MAGIC:
            raise MasterUnusable(f"master {self.path} is no DuckDB database")
        return header

    def _now(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns
