"""A real Redis server for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

from tests.ports import free_port

from .process import ServerProcess


class Server(ServerProcess):
    """A running server; `url` is what clients connect to, which a restart keeps."""

    def __init__(self, directory: Path, settings: Sequence[str]) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        super().__init__(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory),
             "--save", "", "--appendonly", "no", *settings],
            log=directory / "redis.log",
            ready=self._serves,
        )  # fmt: skip

    def _serves(self) -> bool:
        with contextlib.closing(redis.Redis.from_url(self.url, socket_timeout=1)) as client:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                return bool(client.ping())
            return False


@contextlib.contextmanager
def running_server(directory: Path, settings: Sequence[str] = ()) -> Iterator[Server]:
    """Yield a server that serves from memory only, with its files in `directory`; stop it after.

    `settings` are more command line settings, as `["--maxmemory", "1mb"]`.
    """
    server = Server(directory, settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
