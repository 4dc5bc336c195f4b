"""Write container images that hold nothing but one static program."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

# e_machine of the ELF header, and how images name that architecture.
_ARCHITECTURES = {0x3E: "amd64", 0xB7: "arm64"}
_NOBODY = "65535:65535"


def write_program_image(program: Path, reference: str, archive: Path) -> None:
    """Write a docker archive of the image `reference` that runs `program`, as a user that owns nothing."""
    content = program.read_bytes()
    layer = _tar({program.name: (content, 0o755)})
    config = {
        "architecture": _architecture(program, content),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": _NOBODY},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    files = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
    }
    archive.write_bytes(_tar({name: (data, 0o644) for name, data in files.items()}))


def _architecture(program: Path, content: bytes) -> str:
    machine = int.from_bytes(content[18:20], "little")
    if content[:4] != b"\x7fELF" or machine not in _ARCHITECTURES:
        raise ValueError(f"{program}: not an ELF program for {' or '.join(_ARCHITECTURES.values())}")
    return _ARCHITECTURES[machine]


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Return a tar of name → (content, mode), the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
