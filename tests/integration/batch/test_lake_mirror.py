"""A lake in an object store: only what differs moves, and steps find there what the ones before them left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockpipeline.batch.lake_mirror import LakeMirror, mirrored
from stockpipeline.cli import main
from stockpipeline.store.errors import Unavailable
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.object_store import open_store
from tests.integration.servers import s3

WORDS = ("--session", "2013-01-24", "--json")
CONFIG = {
    "apiVersion": "stockpipeline.dev/v1alpha1",
    "kind": "StockPipeline",
    "metadata": {"name": "night"},
    "spec": {
        "universe": {"symbols": ["AAPL", "FB", "GOOG", "IBM", "MSFT"]},
        "sources": [{"name": "replay", "replay": {"start": "2012-01-03"}}],
    },
}


@pytest.fixture
def bucket(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "bucket")


def machine(bucket: FileStore, folder: Path, **files: str) -> LakeMirror:
    """One that has brought the lake to its folder, and written files there."""
    mirror = LakeMirror(bucket, folder)
    mirror.fetch()
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return mirror


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_only_what_differs_moves(bucket: FileStore, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert machine(bucket, here, bars__a="1", bars__b="1", top="1").push() == 3
    other = LakeMirror(bucket, there)
    assert other.fetch() == 3
    assert other.fetch() == 0
    assert content(there) == content(here)
    (there / "bars/a").write_text("2")
    assert other.push() == 1
    again = LakeMirror(bucket, here)
    assert again.fetch() == 1
    assert content(here)["bars/a"] == "2"
    assert again.push() == 0
    assert len(list(bucket.list(""))) == 3, "a version that no longer counts is gone"


def test_steps_at_the_same_time_keep_each_others_files(bucket: FileStore, tmp_path: Path) -> None:
    machine(bucket, tmp_path / "first", one="old", two="old").push()
    left = machine(bucket, tmp_path / "left", one="left")
    right = machine(bucket, tmp_path / "right", two="right", new="right")
    right.push()
    left.push()
    LakeMirror(bucket, tmp_path / "found").fetch()
    assert content(tmp_path / "found") == {"one": "left", "two": "right", "new": "right"}


def test_a_step_that_was_killed_between_two_versions_has_written_the_newer_one(
    bucket: FileStore, tmp_path: Path
) -> None:
    machine(bucket, tmp_path / "first", one="old").push()
    (old,) = list(bucket.list(""))
    kept = bucket.get(old.key)
    machine(bucket, tmp_path / "second", one="new").push()
    bucket.put(old.key, kept)  # it had not come to deleting this
    LakeMirror(bucket, tmp_path / "found").fetch()
    assert content(tmp_path / "found") == {"one": "new"}


def test_files_that_are_being_written_do_not_move(bucket: FileStore, tmp_path: Path) -> None:
    mirror = machine(bucket, tmp_path / "here", one="1")
    (tmp_path / "here" / "two.0a1b.writing").write_text("half")
    assert mirror.push() == 1
    assert LakeMirror(bucket, tmp_path / "there").fetch() == 1


def test_what_a_step_wrote_before_it_failed_is_kept(bucket: FileStore, tmp_path: Path) -> None:
    def step() -> None:
        with mirrored(bucket.url, tmp_path / "here"):
            (tmp_path / "here").mkdir()
            (tmp_path / "here" / "done").write_text("1")
            raise RuntimeError("part 7 is broken")

    with pytest.raises(RuntimeError, match="part 7"):
        step()
    assert LakeMirror(bucket, tmp_path / "there").fetch() == 1


def test_garbled_content_is_not_taken(bucket: FileStore, tmp_path: Path) -> None:
    machine(bucket, tmp_path / "here", one="1").push()
    (one,) = list(bucket.list(""))
    bucket.put(one.key, b"garbled")
    with pytest.raises(Unavailable, match="other content"):
        LakeMirror(bucket, tmp_path / "there").fetch()


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.running_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


def test_every_step_runs_with_a_lake_in_s3_and_gives_the_same_bytes(
    s3_server: s3.Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    open_store("s3://lakes/else").put("first", b"")  # makes the bucket
    config = tmp_path / "night.json"
    config.write_text(json.dumps(CONFIG))

    def step(name: str, lake: str, *words: str) -> dict[str, object]:
        assert main(["batch", name, *WORDS, *words, "--config", str(config), "--lake", lake]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    url, folder = "s3://lakes/night", tmp_path / "lake"
    cached = ("--lake-cache", str(tmp_path / "cache"))
    for name in ("collect", "download", "gate", "merge", "compute", "scan"):
        # Every other step is on a machine that has nothing.
        report = step(name, url, *(cached if name in ("download", "compute") else ()))
        assert report == step(name, str(folder))
    again = step("compute", url)
    assert (again["parts"], again["unchanged"]) == (0, 64)
    step("load", url, "--master", str(tmp_path / "s3.duckdb"))
    step("load", str(folder), "--master", str(tmp_path / "folder.duckdb"))
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}
    assert len(files) > 64
    step("gate", url, *cached)
    assert {name: (tmp_path / "cache" / name).read_bytes() for name in files} == files
