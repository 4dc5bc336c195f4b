"""The Kafka broker's jars, from Maven: for the image and for the tests that run a broker."""

from __future__ import annotations

from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.settings import Settings
from cluster.shell import run


def kafka_jars(settings: Settings) -> Path:
    """Return the folder of the jars that `images/kafka/pom.xml` names, having Maven fetch them once.

    Raises `CommandError` where Maven is missing or cannot fetch them.
    """
    pom = settings.repo / "images" / "kafka" / "pom.xml"
    return cached(settings.cache, "kafka-jars", digest_of([pom]), lambda folder: _fetch(pom, folder))


def _fetch(pom: Path, folder: Path) -> None:
    run(
        ["mvn", "--batch-mode", "--quiet", f"--file={pom}", "dependency:copy-dependencies",
         f"-DoutputDirectory={folder}"]
    )  # fmt: skip
