"""A release is touched only when something changed, and a half-made one is healed first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import helm_python
import pytest

from cluster.helm_release import DIGEST_LABEL, ensure, release_digest

VALUES = {"replicas": 1}


class Recorded:
    """Stands for Helm's storage: one release's history, and what was asked of it."""

    def __init__(self, *revisions: tuple[str, str]) -> None:
        self.revisions = list(revisions)
        self.calls: list[str] = []

    def status(self, _name: str) -> dict[str, Any]:
        if not self.revisions:
            raise helm_python.HelmNotFoundError("release: not found")
        return {"status": self.revisions[-1][0]}

    def get_metadata(self, _name: str) -> dict[str, Any]:
        return {"labels": {DIGEST_LABEL: self.revisions[-1][1]}}

    def history(self, _name: str) -> list[dict[str, Any]]:
        return [{"revision": n, "status": status} for n, (status, _) in enumerate(self.revisions, 1)]

    def install(self, *_: Any, labels: dict[str, str], **__: Any) -> None:
        self.calls.append(f"install {labels[DIGEST_LABEL]}")

    def upgrade(self, *_: Any, labels: dict[str, str], **__: Any) -> None:
        self.calls.append(f"upgrade {labels[DIGEST_LABEL]}")

    def rollback(self, _name: str, *, version: int) -> None:
        self.calls.append(f"rollback {version}")

    def uninstall(self, _name: str) -> None:
        self.calls.append("uninstall")


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "Chart.yaml").write_text("name: some\n")
    return tmp_path


def outcome(chart: Path, *revisions: tuple[str, str]) -> tuple[str, list[str]]:
    helm = Recorded(*revisions)
    return ensure(cast("helm_python.Config", helm), chart, "some", "ns", VALUES), helm.calls


def test_an_absent_release_is_installed(chart: Path) -> None:
    digest = release_digest(chart, VALUES)
    assert outcome(chart) == ("installed", [f"install {digest}"])


def test_an_equal_release_is_left_alone(chart: Path) -> None:
    assert outcome(chart, ("deployed", release_digest(chart, VALUES))) == ("unchanged", [])


def test_other_values_or_files_upgrade(chart: Path) -> None:
    digest = release_digest(chart, VALUES)
    assert outcome(chart, ("deployed", "old")) == ("upgraded", [f"upgrade {digest}"])
    assert release_digest(chart, {"replicas": 2}) != digest
    (chart / "Chart.yaml").write_text("name: other\n")
    assert release_digest(chart, VALUES) != digest


def test_an_upgrade_that_was_cut_off_goes_back_first(chart: Path) -> None:
    digest = release_digest(chart, VALUES)
    found = outcome(chart, ("superseded", "a"), ("deployed", "b"), ("pending-upgrade", digest))
    assert found == ("upgraded", ["rollback 2", f"upgrade {digest}"])


def test_an_install_that_was_cut_off_is_made_anew(chart: Path) -> None:
    digest = release_digest(chart, VALUES)
    assert outcome(chart, ("pending-install", digest)) == ("installed", ["uninstall", f"install {digest}"])
