from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cluster.artifacts import cached, digest_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("a")
    (folder / "sub" / "b").write_text("b")
    return folder


def test_a_digest_depends_on_contents_names_modes_and_extras(source: Path) -> None:
    seen = {digest_of([source])}
    assert digest_of([source]) in seen
    seen.add(digest_of([source], "v1"))
    (source / "a").write_text("changed")
    seen.add(digest_of([source]))
    (source / "a").rename(source / "c")
    seen.add(digest_of([source]))
    (source / "c").chmod(0o755)
    seen.add(digest_of([source]))
    (source / "link").symlink_to("c")
    seen.add(digest_of([source]))
    assert len(seen) == 6


def test_a_digest_does_not_depend_on_the_place_or_on_what_tools_leave(source: Path, tmp_path: Path) -> None:
    before = digest_of([source])
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("x")
    moved = tmp_path / "elsewhere" / "source"
    moved.parent.mkdir()
    source.rename(moved)
    assert digest_of([moved]) == before


def test_a_missing_input_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_of([tmp_path / "missing"])


def test_what_is_there_is_not_built_again(tmp_path: Path) -> None:
    def must_not_build(path: Path) -> None:
        pytest.fail(f"built again at {path}")

    first = cached(tmp_path, "thing", "d1", lambda path: _write(path, "made"))
    again = cached(tmp_path, "thing", "d1", must_not_build)
    assert first == again
    assert again.read_text() == "made"


def test_a_failed_build_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def half(path: Path) -> None:
        path.mkdir()
        (path / "half").write_text("x")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        cached(tmp_path, "thing", "d1", half)
    assert [entry.name for entry in (tmp_path / "thing").iterdir()] == [".lock"]
    assert cached(tmp_path, "thing", "d1", Path.mkdir).is_dir()


def test_what_a_killed_build_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / "thing" / ".building-d0"
    left.mkdir(parents=True)
    cached(tmp_path, "thing", "d1", Path.touch)
    assert not left.exists()


def test_the_last_three_versions_stay(tmp_path: Path) -> None:
    for number, digest in enumerate(["d1", "d2", "d3"]):
        os.utime(cached(tmp_path, "thing", digest, Path.touch), (number, number))
    cached(tmp_path, "thing", "d1", Path.touch)  # used again: d2 is now the oldest
    cached(tmp_path, "thing", "d4", Path.touch)
    names = {entry.name for entry in (tmp_path / "thing").iterdir() if not entry.name.startswith(".")}
    assert names == {"d1", "d3", "d4"}


def test_two_at_once_build_once(tmp_path: Path) -> None:
    builds: list[Path] = []
    building, finish = threading.Event(), threading.Event()

    def slow(path: Path) -> None:
        builds.append(path)
        building.set()
        assert finish.wait(10)
        path.touch()

    threads = [threading.Thread(target=cached, args=(tmp_path, "thing", "d1", slow)) for _ in range(2)]
    threads[0].start()
    assert building.wait(10)
    threads[1].start()
    finish.set()
    for thread in threads:
        thread.join(10)
    assert len(builds) == 1


def _write(path: Path, text: str) -> None:
    path.write_text(text)
