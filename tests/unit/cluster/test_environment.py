"""The virtual environment is made where nobody else's is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster import environment
from cluster.progress import Progress
from cluster.settings import Settings


def test_what_a_link_leads_to_is_not_emptied(tmp_path: Path) -> None:
    repo, other = tmp_path / "repo", tmp_path / "other"
    for name in ("requirements/dev.txt", "services/pyproject.toml", "operator/pyproject.toml"):
        (repo / name).parent.mkdir(parents=True)
        (repo / name).touch()
    (repo / "services/native").mkdir()
    other.mkdir()
    (other / "somebody's").touch()
    (repo / ".venv").symlink_to(other)

    with pytest.raises(RuntimeError, match="remove the link"):
        environment.ensure(replace(Settings.from_environment({}), repo=repo), Progress())
    assert [one.name for one in other.iterdir()] == ["somebody's"]
