"""The virtual environment `.venv`: all that is needed to work on the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cluster.artifacts import digest_of
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import run


def python(settings: Settings) -> Path:
    """Return the interpreter of the environment (which may not exist yet)."""
    return settings.repo / ".venv" / "bin" / "python"


def ensure(settings: Settings, progress: Progress) -> None:
    """Make the environment, or bring it up to date; does nothing when it is."""
    repo = settings.repo
    wanted = digest_of(
        [
            repo / "requirements" / "dev.txt",
            repo / "services/pyproject.toml",
            repo / "operator/pyproject.toml",
            repo / "services/native",
        ],
        sys.version,
        str(repo),  # the distributions are installed in place: a moved clone needs a new environment
    )
    stamp = repo / ".venv" / "stockpipeline.digest"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if stamp.parent.is_symlink():
        # Making it anew empties the folder that it leads to, which others may be using.
        raise RuntimeError(
            f"{stamp.parent} is a link to {stamp.parent.resolve()}, which does not fit this tree; "
            "remove the link, and an environment is made for this tree"
        )
    with progress.step("Make the Python environment .venv"):
        run([sys.executable, "-m", "venv", "--clear", str(repo / ".venv")])
        pip = [str(python(settings)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
        run([*pip, "--requirement", str(repo / "requirements/dev.txt")], env=environment)
        run(
            [*pip, "--no-deps", "--no-build-isolation", "--editable", str(repo / "services"),
             "--editable", str(repo / "operator")],
            env=environment,
        )  # fmt: skip
        stamp.write_text(wanted)
