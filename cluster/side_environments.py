"""Environments beside `.venv`, for what cannot live in it, or what few need: Spark, Airflow, Matplotlib.

They are in the cache, shared by all clones, and made anew when their packages change. Our own code is not in
them (it is run from the tree), only its compiled part where that is needed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.imagebuild.contexts import CONTEXTS
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import run


@dataclass(frozen=True)
class SideEnvironment:
    """An environment by the name of its requirements."""

    name: str
    native: bool
    """Whether it computes indicators: that needs our compiled part."""
    made: tuple[str, ...] = ()
    """Wheels that are made here, by name (`imagebuild.contexts`): images have them too."""


SPARK = SideEnvironment("spark", native=True, made=("pyspark",))
AIRFLOW = SideEnvironment("airflow", native=False)
PLOT = SideEnvironment("plot", native=False)


def ensure(settings: Settings, environment: SideEnvironment, progress: Progress) -> Path:
    """Make an environment unless there is one; return its interpreter, to be run with `tree_path`."""
    repo = settings.repo
    requirements = repo / "requirements" / f"{environment.name}.txt"
    inputs = [requirements]
    if environment.native:
        inputs += [
            repo / "requirements/build.txt",
            repo / "services/pyproject.toml",
            repo / "services/native",
        ]

    def build(folder: Path) -> None:
        with progress.step(f"Make the Python environment of {environment.name}"):
            # Interpreters are found where they are: the folder moves when it is whole.
            run([sys.executable, "-m", "venv", str(folder)])
            python = str(folder / "bin/python")
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            variables = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
            if environment.native:
                run([*pip, "--requirement", str(repo / "requirements/build.txt"), "wheel"], env=variables)
            isolation = ["--no-build-isolation"] if environment.native else []
            wheels = [f"--find-links={CONTEXTS[name](settings)}" for name in environment.made]
            packages = ["--no-deps", "--requirement", str(requirements)]
            run([*pip, *isolation, *wheels, *packages], env=variables)
            if environment.native:
                run([*pip, *isolation, "--no-deps", str(repo / "services")], env=variables)

    digest = digest_of(inputs, sys.version)
    return cached(settings.cache, f"{environment.name}-environment", digest, build) / "bin" / "python"


def tree_path(settings: Settings) -> dict[str, str]:
    """Return the variables of this process with our code of this tree on Python's path."""
    repo = settings.repo
    return {**os.environ, "PYTHONPATH": f"{repo}:{repo / 'services'}", "PYTHONDONTWRITEBYTECODE": "1"}
