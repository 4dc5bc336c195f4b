"""The image that tests of the embedded cluster run: one static program, built from probe/."""

from __future__ import annotations

from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.embedded.archive import write_program_image
from cluster.embedded.toolchain import ensure_go
from cluster.shell import run

REFERENCE = "localhost/stockpipeline/probe:test"
_SOURCE = Path(__file__).parent / "probe"


def probe_archive(cache: Path) -> Path:
    """Return the archive of the image `REFERENCE`, made where it is missing."""

    def build(target: Path) -> None:
        target.mkdir()
        program = target / "probe"
        go, flags = ensure_go(cache), "-s -w"
        command: list[str | Path] = [go, "build", "-trimpath", "-ldflags", flags, "-o", program, "."]
        run(command, cwd=_SOURCE, env={"CGO_ENABLED": "0"}, timeout=300)
        write_program_image(program, REFERENCE, target / "probe.tar")

    return cached(cache, "probe-image", digest_of([_SOURCE]), build) / "probe.tar"
