"""What the tests of the store share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockpipeline.store.errors import Unavailable
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.publish import Publisher
from stockpipeline.store.pull import Puller
from stockpipeline.store.remote_store import RemoteStore
from tests.integration.servers import s3
from tests.integration.store.masters import Sums, commit_day


class World:
    """A master, a store in a folder, and a replica, with what each generation should read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = folder / "master.duckdb"
        self.store = FileStore(folder / "store")
        self.publisher = Publisher(self.store, self.master, writer="test")
        self.puller = Puller(self.store, folder / "replica")
        self.day = 0
        self.sums: dict[int, Sums] = {}

    @property
    def replica(self) -> Path:
        """The replica's folder."""
        return self.folder / "replica"

    def publish(self) -> int:
        """Commit one more day and publish it; return the generation."""
        self.day += 1
        sums = commit_day(self.master, self.day)
        generation = self.publisher.publish().generation
        self.sums[generation] = sums
        return generation

    def publish_and_pull(self) -> int:
        """Commit, publish and pull one more day; return the generation."""
        generation = self.publish()
        assert self.puller.pull().generation == generation
        return generation


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    """A server that all tests share, each with a prefix of its own."""
    with s3.running_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_store(s3_server: s3.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """A store with a prefix of its own on the S3 server."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    store = RemoteStore(f"s3://test/{tmp_path.name}")
    deadline = time.monotonic() + 60
    while True:  # the server answers before its volumes take writes
        try:
            store.put("ready", b"")
            store.delete(["ready"])
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return store
