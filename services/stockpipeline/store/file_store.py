"""An object store in a folder, on a disk or a volume that several nodes mount."""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stockpipeline.store.errors import AlreadyExists, Missing, Unavailable
from stockpipeline.store.files import sync_folder, temporary_name, write_synced
from stockpipeline.store.object_store import ObjectInfo

_LEFTOVER_SECONDS = 24 * 3600.0


class FileStore:
    """Objects are files. Each is written beside its place, synced, and then named in one step.

    Not obstore's LocalStore: that does not sync, so that HEAD could survive a power cut and its blocks not.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).absolute()
        self.url = f"file://{self._root}"

    def get(self, key: str) -> bytes:
        """Return a whole object."""
        with self._errors(key):
            return self._path(key).read_bytes()

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        with self._errors(key):
            temporary = self._written(key, data)
            temporary.replace(self._path(key))
            sync_folder(temporary.parent)

    def create(self, key: str, data: bytes) -> None:
        """Write an object that must not exist: a hard link never replaces a file."""
        with self._errors(key):
            temporary = self._written(key, data)
            try:
                self._path(key).hardlink_to(temporary)
            except FileExistsError:
                raise AlreadyExists(f"{key} exists in {self.url}") from None
            finally:
                temporary.unlink()
                sync_folder(temporary.parent)

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        with self._errors(key):
            return self._path(key).is_file()

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects of a folder and the folders in it."""
        with self._errors(prefix):
            yield from self._below(self._path(prefix), after)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, and folders that became empty."""
        for key in keys:
            with self._errors(key):
                path = self._path(key)
                path.unlink(missing_ok=True)
                self._remove_if_empty(path.parent)

    def sweep_leftovers(self) -> None:
        """Remove files that writers which were killed did not get to name."""
        with self._errors(""):
            for path in self._root.rglob(".tmp-*"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < time.time() - _LEFTOVER_SECONDS:
                        path.unlink()

    def _below(self, folder: Path, after: str) -> Iterator[ObjectInfo]:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.name.startswith(".tmp-"):
                continue
            if entry.is_dir():
                yield from self._below(Path(entry.path), after)
            elif (key := str(Path(entry.path).relative_to(self._root))) > after:
                try:
                    yield ObjectInfo(key, entry.stat().st_size)
                except FileNotFoundError:  # deleted meanwhile
                    continue

    def _written(self, key: str, data: bytes) -> Path:
        path = self._path(key)
        if not path.parent.is_dir():
            self._make_folder(path.parent)
        temporary = temporary_name(path)
        try:
            write_synced(temporary, data)
        except FileNotFoundError:  # a delete found the new folder empty, and removed it
            self._make_folder(path.parent)
            write_synced(temporary, data)
        return temporary

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, durably."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)

    def _remove_if_empty(self, folder: Path) -> None:
        if folder != self._root:
            try:
                folder.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise

    def _path(self, key: str) -> Path:
        path = self._root / key
        if not path.is_relative_to(self._root) or ".." in path.parts:
            raise ValueError(f"{key!r} is no key of {self.url}")
        return path

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise Missing(f"{key} is not in {self.url}") from error
        except OSError as error:
            raise Unavailable(f"{key} in {self.url}: {error.strerror or error}") from error
