"""What the store needs of an object store: seven methods, each with what must hold.

Every adapter passes tests/integration/store/test_object_store_conformance.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit


@dataclass(frozen=True, order=True)
class ObjectInfo:
    """An object's key and size in bytes."""

    key: str
    size: int


class ObjectStore(Protocol):
    """Whole objects under keys with `/`; used by many threads at once.

    Every method raises `Unavailable` when the store does not answer or refuses, and may be called again then.
    """

    url: str

    def get(self, key: str) -> bytes:
        """Return a whole object, as it is after all writes that have returned; raise Missing without one."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, durably once this returns. At any time others see nothing, the old or the new."""

    def create(self, key: str, data: bytes) -> None:
        """Write an object that must not exist; of any number of callers at once, one succeeds.

        Raises AlreadyExists otherwise, also to a caller whose own write was done, but not acknowledged: it
        tells them apart by reading.
        """

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, a folder, in no order; only keys above
        `after`."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that do not exist are fine."""

    def sweep_leftovers(self) -> None:
        """Remove what writers that were killed left a day ago or earlier, and that has no key."""


def open_store(url: str) -> ObjectStore:
    """Return the object store at a URL.

    `file:///path` or a path; `s3://bucket/prefix`, `gs://…`, `az://…`. Credentials and endpoints of the
    latter come from the environment as their own tools read it (AWS_…, GOOGLE_…, AZURE_…).

    Raises:
        ValueError: the URL names no kind of store that is known.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "" | "file":
            from stockpipeline.store.file_store import FileStore

            if parts.netloc:
                raise ValueError(f"store {url!r}: a file URL has three slashes, file:///path")
            return FileStore(parts.path)
        case "s3" | "gs" | "az" | "memory":
            from stockpipeline.store.remote_store import RemoteStore

            return RemoteStore(url)
    raise ValueError(f"store {url!r}: {parts.scheme!r} is none of file, s3, gs, az")
