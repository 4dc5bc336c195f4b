"""What the machine must have before anything is started, and how to get what it lacks.

Everything that can be installed is installed (and named); what cannot be is
reported all at once, before the first change to the machine.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster import debian
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import run

MINIMUM_PYTHON = (3, 11)
MINIMUM_MEMORY_GIB = 4.0
# Go sources and build cache, image layers and the archives made of them.
MINIMUM_DISK_GIB = 12.0


@dataclass(frozen=True)
class Problem:
    """Something that stops the work, and what the user can do about it."""

    what: str
    remedy: str


class PrerequisiteError(Exception):
    """The machine lacks things that cannot be installed from here."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"  - {p.what}\n    {p.remedy}" for p in problems))


def docker_answers() -> bool:
    """Whether a Docker engine is there (the client alone is not enough)."""
    return shutil.which("docker") is not None and (
        run(["docker", "version", "--format", "{{.Server.Version}}"], check=False).returncode == 0
    )


def machine_problems(kind: str, cache: Path) -> list[Problem]:
    """Return everything about this machine that no package can mend."""
    problems = []
    if sys.version_info < MINIMUM_PYTHON:
        problems.append(
            Problem(
                f"Python {platform.python_version()} is too old",
                "Install Python 3.11 or later and run `make PYTHON=python3.11 …`.",
            )
        )
    if sys.platform != "linux":
        problems.append(
            Problem(
                f"{platform.system()} cannot run a Linux node or build Linux images with buildah",
                "Use a Debian 12 machine or virtual machine.",
            )
        )
        return problems
    if os.geteuid() != 0:
        problems.append(
            Problem(
                "root is needed to install packages, build images and run a node",
                "Run it as root, for example `sudo make up`.",
            )
        )
    if not debian.available():
        problems.append(
            Problem(
                "apt-get is missing: this is not Debian or a relative of it",
                "Use Debian 12 (bookworm), in a virtual machine if need be.",
            )
        )
    elif kind == "node" and (found := _debian_release()) != "bookworm":
        problems.append(
            Problem(
                f"the release of this system is {found or 'not known'}, the node needs Debian's bookworm",
                "Use Debian 12 (bookworm), in a virtual machine if need be, or kind: `make up CLUSTER=kind`.",
            )
        )
    problems += _size_problems(cache)
    if kind == "kind":
        problems += _kind_problems()
    return problems


def _debian_release() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def _size_problems(cache: Path) -> list[Problem]:
    problems = []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if memory < MINIMUM_MEMORY_GIB:
        problems.append(
            Problem(
                f"{memory:.1f} GiB of memory, {MINIMUM_MEMORY_GIB:.0f} are needed", "Use a larger machine."
            )
        )
    existing = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 2**30
    # A warm cache already holds most of it.
    if free < MINIMUM_DISK_GIB and not (cache / "images").exists():
        problems.append(
            Problem(
                f"{free:.1f} GiB free at {existing}, {MINIMUM_DISK_GIB:.0f} are needed",
                "Free some space, or point XDG_CACHE_HOME at a larger disk.",
            )
        )
    return problems


def _kind_problems() -> list[Problem]:
    problems = []
    if not docker_answers():
        problems.append(
            Problem(
                "CLUSTER=kind, but no Docker engine answers",
                "Start Docker, or use `make up CLUSTER=node`, which needs none.",
            )
        )
    problems += [
        Problem(
            f"CLUSTER=kind, but `{program}` is not on the PATH",
            f"Install {program} (see its own documentation), or use `make up CLUSTER=node`.",
        )
        for program in ("kind", "kubectl")
        if shutil.which(program) is None
    ]
    return problems


def check(settings: Settings) -> None:
    """Raise `PrerequisiteError` naming everything that is missing and cannot be installed."""
    problems = machine_problems(settings.kind, settings.cache)
    if problems:
        raise PrerequisiteError(problems)


def install(packages: Iterable[str], progress: Progress) -> None:
    """Install the Debian packages that are missing, and say which."""
    wanted = (*_python_packages(), *packages)
    lacking = debian.missing(wanted) if wanted else []
    if not lacking:
        return
    with progress.step(f"Install {len(lacking)} Debian packages"):
        progress.note(" ".join(lacking))
        debian.install(lacking)


def _python_packages() -> tuple[str, ...]:
    """Return what Debian splits from Python, and what compiles the extension module of the services."""
    venv = () if importlib.util.find_spec("ensurepip") else ("python3-venv",)
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return (
        *venv,
        *(() if shutil.which("gcc") else ("gcc", "libc6-dev")),
        *(() if headers.exists() else ("python3-dev",)),
    )
