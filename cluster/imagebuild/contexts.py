"""What is made on this machine before an image is built, and enters its build by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.embedded.toolchain import go_build
from cluster.settings import Settings
from cluster.shell import run


def kafka_jars(settings: Settings) -> Path:
    """Return the folder of the jars that `images/kafka/pom.xml` names, having Maven fetch them once.

    The tests that run a broker use them too. Raises `CommandError` where Maven is
    missing or cannot fetch them.
    """
    pom = settings.repo / "images/kafka/pom.xml"

    def fetch(folder: Path) -> None:
        run(
            ["mvn", "--batch-mode", "--quiet", f"--file={pom}", "dependency:copy-dependencies",
             f"-DoutputDirectory={folder}"]
        )  # fmt: skip

    return cached(settings.cache, "kafka-jars", digest_of([pom]), fetch)


def pod_discovery(settings: Settings) -> Path:
    """Return the folder with `pod-discovery`, static, having Go build it once."""
    source = settings.repo / "images/prometheus/discovery"

    def build(folder: Path) -> None:
        folder.mkdir()
        go_build(settings.cache, source, folder / "pod-discovery")

    return cached(settings.cache, "pod-discovery", digest_of([source]), build)


CONTEXTS: dict[str, Callable[[Settings], Path]] = {"jars": kafka_jars, "discovery": pod_discovery}
