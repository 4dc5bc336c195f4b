"""The base image of a machine without a registry: a small Debian, made by mmdebstrap."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cluster.artifacts import digest_of
from cluster.imagebuild.registries import SUITE, Registries, apt_trust
from cluster.imagebuild.store import Store
from cluster.shell import run

REPOSITORY = "localhost/stockpipeline/base"
# Essential packages and apt only. `usr-is-merged` keeps its alternative out, which would bring 48 MB of Perl.
_MMDEBSTRAP = (
    "mmdebstrap",
    "--variant=apt",
    "--include=usr-is-merged",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--skip=output/dev",
    # What this machine told apt stays out of the image.
    '--customize-hook=rm "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list.d/*',
)


def digest(repo: Path) -> str:
    """Return 64 hex digits over how the base is made."""
    return digest_of([repo / "images/base"], SUITE, *_MMDEBSTRAP)


def ensure(store: Store, repo: Path, registries: Registries) -> str:
    """Return the reference of the base in `store`, made there if it is missing."""
    reference = f"{REPOSITORY}:{digest(repo)[:12]}"
    if not store.has(reference):
        with tempfile.TemporaryDirectory(prefix="stockpipeline-base-") as context:
            _bootstrap(repo, registries, Path(context))
            store.build(reference, repo / "images/base/Containerfile", Path(context))
        store.forget_others(REPOSITORY, reference)
    return reference


def _bootstrap(repo: Path, registries: Registries, folder: Path) -> None:
    if not registries.sources:
        raise LookupError(
            f"apt on this machine has no source of Debian {SUITE} (main), from which the base image is made: "
            "add one, or build on an official image with --base"
        )
    sources, apt = folder / "debian.sources", folder / "apt.conf"
    sources.write_text(registries.sources)
    apt.write_text(registries.apt + ("" if registries.ca is None else apt_trust(registries.ca)))
    run(
        [*_MMDEBSTRAP, f"--aptopt={apt}", f"--dpkgopt={repo / 'images/base/dpkg.conf'}",
         SUITE, folder / "base.tar", sources]
    )  # fmt: skip
