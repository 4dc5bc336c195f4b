"""A lake in an object store: brought to a folder before a step, and back what the step has changed in it.

    bars/part-07.parquet/00000003-9f86d081884c7d659a2feaa0c55ad015.parquet

A key names a file of the lake, counts its versions, and has the digest of its content, so that a listing
tells all that differs. The highest version is the one that counts; those below it go once it is there. So a
file is the old or the new one at any time, and a step that was killed leaves what the next one finds. Steps
that run at the same time write different files, as they do in a folder that they share.

The folder may be empty, as in a pod that has none of its own, or have what it had: then little moves.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from stockpipeline.batch.whole_files import is_whole, whole_file
from stockpipeline.store.errors import Missing, Unavailable
from stockpipeline.store.object_store import ObjectStore, open_store

_T = TypeVar("_T")
_AT_ONCE = 8
"""Objects on their way; each is in memory as a whole, which a part of a lake is small enough for."""
_DIGEST_BYTES = 16
_LOOKS = 5
"""How often a listing may be out of date before a file of it is read."""


class Version(NamedTuple):
    """What the object store has of a file."""

    number: int
    digest: str
    key: str


class LakeMirror:
    """The lake of an object store, and the folder that it is brought to."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._fetched: dict[str, str] = {}

    def fetch(self) -> int:
        """Bring what the store has to the folder; return how many files differed.

        What the folder has alone stays: a step that was killed has left it.

        Raises:
            Unavailable: the store does not answer.
        """
        for _ in range(_LOOKS):
            listed = {name: versions[0] for name, versions in self._listed().items()}
            local = self._local()
            newer = {name: one for name, one in listed.items() if local.get(name) != one.digest}
            try:
                _each(self._bring, newer.items())
            except Missing:  # another step has just written a newer version
                continue
            self._fetched = {name: one.digest for name, one in listed.items()}
            return len(newer)
        raise Unavailable(f"{self._store.url} changed {_LOOKS} times while it was read")

    def push(self) -> int:
        """Bring to the store what has changed in the folder since `fetch`; return how many files.

        What others have written meanwhile stays: those files are as old here as they were fetched.

        Raises:
            Unavailable: the store does not answer.
        """
        changed = {name: one for name, one in self._local().items() if self._fetched.get(name) != one}
        listed = self._listed() if changed else {}
        _each(self._send, ((name, one, listed.get(name, [])) for name, one in changed.items()))
        return len(changed)

    def _listed(self) -> dict[str, list[Version]]:
        """The versions of each file, the one that counts first."""
        found: dict[str, list[Version]] = {}
        for each in self._store.list(""):
            name, _, last = each.key.rpartition("/")
            number, _, digest = PurePosixPath(last).stem.partition("-")
            if name and number.isdecimal() and len(digest) == 2 * _DIGEST_BYTES:
                found.setdefault(name, []).append(Version(int(number), digest, each.key))
        return {name: sorted(versions, reverse=True) for name, versions in found.items()}

    def _local(self) -> dict[str, str]:
        """The digest of each whole file of the folder."""
        paths = [path for path in self._folder.rglob("*") if path.is_file() and is_whole(path)]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mirror") as pool:
            digests = pool.map(lambda path: _digest(path.read_bytes()), paths)
            names = (path.relative_to(self._folder).as_posix() for path in paths)
            return dict(zip(names, digests, strict=True))

    def _bring(self, entry: tuple[str, Version]) -> None:
        name, version = entry
        data = self._store.get(version.key)
        if _digest(data) != version.digest:
            raise Unavailable(f"{self._store.url}: {version.key} has other content than its name says")
        with whole_file(self._folder / name) as file:
            file.write_bytes(data)

    def _send(self, entry: tuple[str, str, list[Version]]) -> None:
        name, digest, before = entry
        number = before[0].number + 1 if before else 1
        suffix = PurePosixPath(name).suffix
        data = (self._folder / name).read_bytes()
        self._store.put(f"{name}/{number:08d}-{digest}{suffix}", data)
        self._store.delete([version.key for version in before])


@contextmanager
def mirrored(url: str, folder: Path) -> Iterator[None]:
    """Bring the lake of a URL to the folder; at the end of the block, bring back what has changed.

    That is done after an error, too: what a step has written before it is whole.

    Raises:
        Unavailable: the store does not answer.
        ValueError: the URL names no object store.
    """
    mirror = LakeMirror(open_store(url), folder)
    mirror.fetch()
    try:
        yield
    finally:
        mirror.push()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def _each(do: Callable[[_T], None], entries: Iterable[_T]) -> None:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mirror") as pool:
        for done in [pool.submit(do, entry) for entry in entries]:
            done.result()
