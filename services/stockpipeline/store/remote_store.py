"""Object stores behind a network, by obstore: S3 and what is compatible with it, Google's and Azure's."""

import builtins
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import MemoryStore, from_url

from stockpipeline.store.errors import AlreadyExists, Missing, Unavailable
from stockpipeline.store.object_store import ObjectInfo

_REQUEST_TIMEOUT = timedelta(seconds=30)
_CONNECT_TIMEOUT = timedelta(seconds=5)
_RETRIES = 3
_RETRY_TIMEOUT = timedelta(seconds=60)
_DELETE_AT_ONCE = 1000


class RemoteStore:
    """Objects in a bucket or container, under the prefix of the URL.

    `create` is a put with `If-None-Match: *`. There is no replace on a condition: measured on a server that
    is compatible with S3, of six writers at once with the same `If-Match` two succeeded in 7 of 20 rounds,
    while
    `If-None-Match` let exactly one through in 60 of 60.
    """

    def __init__(
        self, url: str, *, request_timeout: timedelta = _REQUEST_TIMEOUT, retries: int = _RETRIES
    ) -> None:
        self.url = url
        self._store = (
            MemoryStore()  # for tests: lives and dies with this object
            if urlsplit(url).scheme == "memory"
            else from_url(
                url,
                client_options={
                    "timeout": request_timeout,
                    "connect_timeout": _CONNECT_TIMEOUT,
                    # With options of our own, obstore does not look for this one in the environment.
                    "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
                },
                retry_config={"max_retries": retries, "retry_timeout": _RETRY_TIMEOUT},
            )
        )

    def get(self, key: str) -> bytes:
        """Return a whole object."""
        with self._errors(key):
            return obstore.get(self._store, key).bytes().to_bytes()

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        with self._errors(key):
            obstore.put(self._store, key, data)

    def create(self, key: str, data: bytes) -> None:
        """Write an object that must not exist."""
        with self._errors(key):
            obstore.put(self._store, key, data, mode="create", use_multipart=False)

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        try:
            with self._errors(key):
                obstore.head(self._store, key)
        except Missing:
            return False
        return True

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects of a folder and the folders in it."""
        with self._errors(prefix):
            for batch in obstore.list(self._store, prefix, offset=after or None):
                for found in batch:
                    yield ObjectInfo(found["path"], found["size"])

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects."""
        # Not `list`: inside the class that is the method.
        wanted = builtins.list(keys)
        for at in range(0, len(wanted), _DELETE_AT_ONCE):
            with self._errors(wanted[at]):
                try:
                    obstore.delete(self._store, wanted[at : at + _DELETE_AT_ONCE])
                except FileNotFoundError:
                    self._delete_one_by_one(wanted[at : at + _DELETE_AT_ONCE])

    def sweep_leftovers(self) -> None:
        """Nothing is left: an object is there when its one request is done."""

    def _delete_one_by_one(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:  # obstore's NotFoundError is one
            raise Missing(f"{key} is not in {self.url}") from error
        except exceptions.AlreadyExistsError as error:
            raise AlreadyExists(f"{key} exists in {self.url}") from error
        except (exceptions.BaseError, OSError) as error:
            raise Unavailable(f"{key} in {self.url}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Return the error's sentence: what follows is a dump of Rust structures."""
    return str(error).split("\n", 1)[0].strip()
