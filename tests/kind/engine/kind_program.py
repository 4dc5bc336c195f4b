"""kind, and the files of its base image, from its Go module."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.embedded.toolchain import ensure_go
from cluster.shell import run

MODULE = "sigs.k8s.io/kind"
VERSION = "v0.32.0"
_BUILD_LIMIT = 900.0  # seconds, with the downloads


@dataclass(frozen=True)
class Kind:
    """The program, and the folder with the static files of its base image."""

    program: Path
    base_files: Path


def ensure(cache: Path) -> Kind:
    """Return kind, built where it is missing."""
    go = ensure_go(cache)
    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}

    def build(target: Path) -> None:
        downloaded = json.loads(
            run(
                [go, "mod", "download", "-json", f"{MODULE}@{VERSION}"], env=environment, cwd=Path("/")
            ).stdout
        )
        source = Path(downloaded["Dir"])
        target.mkdir()
        run(["cp", "-r", "--no-preserve=mode", source / "images/base/files", target / "base"])
        run(
            [go, "install", "-trimpath", "-ldflags", "-s -w", f"{MODULE}@{VERSION}"],
            env={**environment, "GOBIN": str(target)},
            cwd=Path("/"),
            timeout=_BUILD_LIMIT,
        )

    built = cached(cache, "kind", digest_of([], MODULE, VERSION), build)
    return Kind(built / "kind", built / "base")
