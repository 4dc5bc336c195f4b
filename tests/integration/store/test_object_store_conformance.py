"""What every adapter must keep, tried on each: a folder, a real S3-compatible server, obstore's memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stockpipeline.store.errors import AlreadyExists, Missing
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.object_store import ObjectStore, open_store


@pytest.fixture(params=["file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    match request.param:
        case "file":
            return open_store(f"file://{tmp_path}/store")
        case "memory":
            return open_store("memory:///")
    return request.getfixturevalue("s3_store")


def test_get_returns_what_was_put_last(store: ObjectStore) -> None:
    store.put("a/one", b"first")
    store.put("a/one", b"second")
    assert store.get("a/one") == b"second"


def test_objects_may_be_empty_or_large(store: ObjectStore) -> None:
    large = bytes(range(256)) * 32_768  # 8 MiB: more than one part of a multipart upload
    store.put("empty", b"")
    store.put("large", large)
    assert (store.get("empty"), store.get("large")) == (b"", large)


def test_what_is_not_there_is_missing(store: ObjectStore) -> None:
    with pytest.raises(Missing, match="a/nothing"):
        store.get("a/nothing")
    assert not store.exists("a/nothing")


def test_exists_after_put_and_not_after_delete(store: ObjectStore) -> None:
    store.put("a/one", b"1")
    assert store.exists("a/one")
    store.delete(["a/one"])
    assert not store.exists("a/one")


def test_create_refuses_what_exists_and_leaves_it(store: ObjectStore) -> None:
    store.create("log/1", b"first")
    with pytest.raises(AlreadyExists, match="log/1"):
        store.create("log/1", b"second")
    assert store.get("log/1") == b"first"


def test_of_many_creators_one_succeeds(store: ObjectStore) -> None:
    for round_number in range(10):
        won: list[int] = []
        start = threading.Barrier(6)

        def create(number: int, key: str, won: list[int] = won, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                store.create(key, str(number).encode())
            except AlreadyExists:
                return
            won.append(number)

        key = f"log/{round_number}"
        threads = [threading.Thread(target=create, args=(number, key)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert store.get(key) == str(won[0]).encode()


def test_list_gives_a_folder_with_sizes(store: ObjectStore) -> None:
    for key in ("a/1", "a/2", "a/b/3", "ab/4"):
        store.put(key, key.encode())
    assert sorted((found.key, found.size) for found in store.list("a/")) == [
        ("a/1", 3),
        ("a/2", 3),
        ("a/b/3", 5),
    ]
    assert list(store.list("nothing/")) == []


def test_list_can_begin_after_a_key(store: ObjectStore) -> None:
    for number in range(5):
        store.put(f"log/{number:03d}", b"x")
    assert sorted(found.key for found in store.list("log/", after="log/002")) == ["log/003", "log/004"]


def test_list_gives_more_than_a_page(store: ObjectStore) -> None:
    for number in range(1005):
        store.put(f"many/{number:04d}", b"")
    assert len({found.key for found in store.list("many/")}) == 1005
    store.delete([found.key for found in store.list("many/")])
    assert list(store.list("many/")) == []


def test_delete_takes_what_is_there_and_what_is_not(store: ObjectStore) -> None:
    store.put("a/1", b"1")
    store.put("a/2", b"2")
    store.delete(["a/1", "a/nothing", "a/2"])
    store.delete(["a/1"])
    store.delete([])
    assert list(store.list("a/")) == []


def test_a_write_that_was_killed_is_not_seen(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    store.put("a/1", b"1")
    (tmp_path / "store" / "a" / ".tmp-0123").write_bytes(b"half")
    assert [found.key for found in store.list("")] == ["a/1"]


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no key"):
        FileStore(tmp_path / "store").get("../secret")


@pytest.mark.parametrize("url", ["ftp://host/x", "file://host/path"])
def test_unknown_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=url):
        open_store(url)
