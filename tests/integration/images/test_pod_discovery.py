"""The program beside Prometheus, by its own tests."""

from __future__ import annotations

from cluster.embedded.toolchain import ensure_go
from cluster.settings import REPO, Settings
from cluster.shell import run


def test_its_own_tests_pass() -> None:
    # Built as for the image, so that the compiled libraries are shared with it.
    run(
        [ensure_go(Settings.from_environment().cache), "test", "-trimpath", "./..."],
        cwd=REPO / "images/prometheus/discovery",
        env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
    )
