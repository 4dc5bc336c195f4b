"""A cache of built things, keyed by the content of what they are built from.

An entry `<cache>/<name>/<digest>` appears at once and whole, or not at all: a build that is killed leaves
only a temporary that the next one clears, and two processes never build the same thing twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_KEPT = 3  # versions of one thing that stay: switching between two branches rebuilds nothing
_TEMPORARY = ".building-"
# Left behind by tools in source folders; never an input of a build.
_IGNORED_SUFFIXES = (".pyc", ".so", ".egg-info")
_IGNORED_NAMES = frozenset({"__pycache__", "build", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


def digest_of(paths: Iterable[Path], *extra: str) -> str:
    """Return 64 hex digits over files and folders: relative names, contents, execute bits, link targets.

    Where the paths lie does not matter, their order does. `extra` holds whatever else the result depends
    on, such as a version or a flag. Raises `FileNotFoundError` for a path that does not exist.
    """
    total = hashlib.sha256()

    def add(*parts: bytes) -> None:
        for part in parts:  # lengths, so that ("ab", "c") is not ("a", "bc")
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)

    for path in paths:
        add(b"path", path.name.encode())
        for file in _files(path):
            name = file.relative_to(path).as_posix().encode()
            if file.is_symlink():
                add(b"link", name, os.fsencode(file.readlink()))
                continue
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").digest()
            executable = b"x" if file.stat().st_mode & 0o100 else b"-"
            add(b"file", name, executable, content)
    for text in extra:
        add(b"extra", text.encode())
    return total.hexdigest()


def cached(cache_dir: Path, name: str, digest: str, build: Callable[[Path], None]) -> Path:
    """Return the path of version `digest` of `name`, having `build` make it where it is missing.

    `build` gets a path that does not exist yet and makes a file or a folder there. Another process that
    builds the same thing is waited for. Older versions beyond the last three used are removed.
    """
    folder = cache_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    entry = folder / digest
    with _locked(folder / ".lock"):
        if not entry.exists():
            for stale in folder.glob(f"{_TEMPORARY}*"):  # of a killed build: the lock is ours
                _remove(stale)
            temporary = folder / f"{_TEMPORARY}{digest}"
            try:
                build(temporary)
                _sync(temporary)
                temporary.rename(entry)
                _sync_folder(folder)
            finally:
                _remove(temporary)
        os.utime(entry)  # now the last used one
        _prune(folder)
    return entry


def _files(path: Path) -> Iterator[Path]:
    """Yield all files and links at or below `path`, in an order that is the same everywhere."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for child in sorted(path.iterdir(), key=lambda p: p.name):
        if child.name not in _IGNORED_NAMES and not child.name.endswith(_IGNORED_SUFFIXES):
            yield from _files(child)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file closes, also by a crash
        yield


def _sync(path: Path) -> None:
    """Bring a finished build to disk before its name says that it is whole."""
    for file in _all_files(path):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _all_files(path: Path) -> Iterator[Path]:
    candidates = path.rglob("*") if path.is_dir() else [path]
    return (file for file in candidates if file.is_file() and not file.is_symlink())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(folder: Path) -> None:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[_KEPT:]:
        _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
