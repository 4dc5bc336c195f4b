"""What stops the work is told all at once, with what to do about it, before anything is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster import debian, prerequisites
from cluster.prerequisites import PrerequisiteError, machine_problems
from cluster.shell import run


@pytest.fixture(autouse=True)
def good_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian, root, large enough: each test takes one thing away."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian, "available", lambda: True)
    monkeypatch.setattr(prerequisites, "_debian_release", lambda: "bookworm")
    monkeypatch.setattr(prerequisites, "MINIMUM_MEMORY_GIB", 0.0)
    monkeypatch.setattr(prerequisites, "MINIMUM_DISK_GIB", 0.0)


def whats(kind: str, cache: Path) -> str:
    return "\n".join(problem.what for problem in machine_problems(kind, cache))


def test_a_good_machine_has_no_problems(tmp_path: Path) -> None:
    assert machine_problems("node", tmp_path) == []


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(debian, "available", lambda: False)
    found = whats("node", tmp_path)
    assert "root is needed" in found
    assert "apt-get is missing" in found


def test_a_small_machine_is_told_its_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "MINIMUM_MEMORY_GIB", 1e6)
    monkeypatch.setattr(prerequisites, "MINIMUM_DISK_GIB", 1e9)
    assert "of memory" in whats("node", tmp_path)
    assert f"free at {tmp_path}" in whats("node", tmp_path / "not" / "made" / "yet")


def test_a_warm_cache_needs_no_more_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "MINIMUM_DISK_GIB", 1e9)
    (tmp_path / "images").mkdir()
    assert machine_problems("node", tmp_path) == []


def test_kind_names_the_programs_that_it_misses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = whats("kind", tmp_path)
    assert "no Docker engine answers" in found
    assert "`kind` is not on the PATH" in found
    assert "`kubectl` is not on the PATH" in found


def test_the_node_needs_the_release_that_its_packages_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "_debian_release", lambda: "noble")
    assert "is noble, the node needs Debian's bookworm" in whats("node", tmp_path)
    assert "noble" not in whats("kind", tmp_path)


def test_every_problem_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = PrerequisiteError(machine_problems("node", tmp_path))
    assert "sudo make up" in str(error)


@pytest.mark.skipif(not debian.available(), reason="needs dpkg")
def test_missing_packages_are_found_in_their_order() -> None:
    assert run(["dpkg-query", "--version"]).returncode == 0
    assert debian.missing(["no-such-b", "dpkg", "no-such-a", "no-such-b"]) == ["no-such-b", "no-such-a"]
