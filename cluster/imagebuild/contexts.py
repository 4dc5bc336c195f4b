"""What is made on this machine before an image is built, and enters its build by name."""

from __future__ import annotations

import re
import shutil
import sys
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


def pyspark(settings: Settings) -> Path:
    """Return the folder with the wheel of the Spark that `requirements/spark.txt` pins, made once.

    PyPI has its source only (450 MB). The environment of Spark on this machine is made from the wheel too.
    Raises `CommandError` where pip cannot fetch or build it.
    """
    pinned = re.findall(r"(?m)^pyspark==.*$", (settings.repo / "requirements/spark.txt").read_text())

    def build(folder: Path) -> None:
        # Debian's Python has no pip of its own.
        builder = folder / "builder"
        run([sys.executable, "-m", "venv", builder])
        run(
            [
                builder / "bin/python",
                "-m",
                "pip",
                "wheel",
                "--quiet",
                "--no-deps",
                "--use-pep517",
                f"--wheel-dir={folder}",
                *pinned,
            ]
        )
        shutil.rmtree(builder)

    return cached(settings.cache, "pyspark-wheel", digest_of([], *pinned), build)


CONTEXTS: dict[str, Callable[[Settings], Path]] = {
    "jars": kafka_jars,
    "discovery": pod_discovery,
    "pyspark": pyspark,
}
