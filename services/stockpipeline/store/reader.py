"""Reading a replica: always one whole generation, and the next one as soon as it is there.

```python
from stockpipeline.store import open_replica

replica = open_replica("/var/lib/replica")
with replica.read(max_lag=60) as snapshot:
    bars = snapshot.execute("SELECT * FROM bars WHERE symbol = ?", ["AAPL"]).fetchall()
    print(snapshot.generation, snapshot.lag_seconds)
```

A snapshot stays at its generation until it is left, whatever is pulled meanwhile. A read that begins after
a swap sees the new generation. If the object store, or the process that pulls, is gone, the last good
generation is read for as long as the reader's bound on its age allows.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from stockpipeline.store.errors import NoReplica, TooStale
from stockpipeline.store.manifest import Manifest
from stockpipeline.store.replica_folder import ReplicaFolder, Status

# The pointer may change between reading and opening it; but not this often.
_OPEN_ATTEMPTS = 100
_RETRY_SECONDS = 0.01


@dataclass(frozen=True)
class Snapshot:
    """One generation, for the time of one read; `connection` is DuckDB's, read-only and of this read
    alone."""

    connection: duckdb.DuckDBPyConnection
    manifest: Manifest
    lag_seconds: float

    @property
    def generation(self) -> int:
        """The number of the generation."""
        return self.manifest.generation

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        """Run a query; the result is fetched as DuckDB's connections do (`fetchall`, `df`, `arrow` …)."""
        return self.connection.execute(sql, list(parameters))


class Replica:
    """The newest generation in a replica's folder; used by any number of threads at once."""

    def __init__(
        self,
        folder: Path,
        *,
        config: Mapping[str, str | bool | int] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = ReplicaFolder(folder)
        self._config: dict[str, Any] = dict(config or {})
        self._now = now
        self._opening = threading.Lock()
        self._open: _OpenGeneration | None = None

    @contextmanager
    def read(self, max_lag: float | None = None) -> Iterator[Snapshot]:
        """Yield the current generation.

        `max_lag` in seconds bounds how long ago the generation was last known to be the newest published one.

        Raises:
            TooStale: it is longer ago.
            NoReplica: nothing was pulled yet.
        """
        generation = self._acquire()
        try:
            lag = self.lag_seconds()
            if max_lag is not None and lag > max_lag:
                status, number = self._folder.status(), generation.manifest.generation
                raise TooStale(
                    f"generation {number} in {self._folder.path} was last known to be "
                    f"the newest {lag:.1f} s ago, more than the allowed {max_lag:g} s: "
                    f"{_reason(status)}"
                )
            connection = generation.connection.cursor()
            try:
                yield Snapshot(connection, generation.manifest, lag)
            finally:
                connection.close()
        finally:
            generation.release()

    def lag_seconds(self) -> float:
        """Return how long ago the current generation was last known to be the newest published one.

        By this machine's clock alone: that of the writer does not matter.
        """
        status = self._folder.status()
        return max(0.0, self._now() - status.fresh_ms / 1000) if status.fresh_ms else float("inf")

    def status(self) -> Status:
        """Return what the puller of this folder knows."""
        return self._folder.status()

    def close(self) -> None:
        """Close the open generation as soon as its last snapshot is left."""
        with self._opening:
            if self._open is not None:
                self._open.retire()
                self._open = None

    def _acquire(self) -> "_OpenGeneration":
        failure = "nothing was pulled yet"
        for _ in range(_OPEN_ATTEMPTS):
            name = self._folder.current_name()
            generation = self._open
            if generation is not None and name in (generation.name, None) and generation.acquire():
                return generation
            if name is None:
                break
            with self._opening:
                if self._open is None or self._open.name != name:
                    opened = self._try_open(name)
                    if isinstance(opened, str):
                        failure = opened
                        time.sleep(_RETRY_SECONDS)
                        continue
                    before, self._open = self._open, opened
                    if before is not None:
                        before.retire()
        raise NoReplica(f"{self._folder.path} holds no generation that can be opened: {failure}")

    def _try_open(self, name: str) -> "_OpenGeneration | str":
        """Return the generation with this file name, or why it cannot be opened, for instance as it went."""
        try:
            lease = self._folder.lease(name, exclusive=False)
        except OSError:
            # The folder is mounted read-only. DuckDB's own lock keeps the file from being built in.
            lease = _NO_LEASE
        if lease is None:
            return f"{name} is just being removed"
        stored = self._folder.find(name)
        try:
            if stored is None:
                raise FileNotFoundError(f"{name} went")
            connection = duckdb.connect(str(stored.path), read_only=True, config=self._config)
        except (OSError, duckdb.IOException) as error:
            if lease != _NO_LEASE:
                os.close(lease)
            return str(error)
        return _OpenGeneration(name, stored.manifest, connection, lease)


_NO_LEASE = -1


class _OpenGeneration:
    """An open database and its lease, both closed when it was retired and its last user has released it."""

    def __init__(
        self, name: str, manifest: Manifest, connection: duckdb.DuckDBPyConnection, lease: int
    ) -> None:
        self.name = name
        self.manifest = manifest
        self.connection = connection
        self._lease = lease
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False

    def acquire(self) -> bool:
        """Become a user; False where it was retired before."""
        with self._lock:
            if self._retired:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Stop being a user."""
        with self._lock:
            self._users -= 1
            self._close_if_unused()

    def retire(self) -> None:
        """Let no new users in."""
        with self._lock:
            self._retired = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and self._users == 0:
            self.connection.close()
            if self._lease != _NO_LEASE:
                os.close(self._lease)


def _reason(status: Status) -> str:
    return status.trouble or "nobody has pulled since"
