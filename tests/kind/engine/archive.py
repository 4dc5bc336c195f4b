"""Write image archives (`docker save` format) from layers, without an engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class ImageSpec:
    """One image of an archive: its layers (tar files, lowest first) and how it runs."""

    layers: Sequence[Path]
    config: Mapping[str, Any] = field(default_factory=dict)


def write(target: Path, images: Mapping[str, ImageSpec]) -> None:
    """Write one archive with several images, by reference; a layer that they share is in it once."""
    digests = {layer: _digest(layer) for image in images.values() for layer in image.layers}
    with tarfile.open(target, "w") as archive:
        for layer, digest in digests.items():
            archive.add(layer, f"{digest}.tar")
        manifest = []
        for reference, image in images.items():
            config = json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "created": _EPOCH,
                    "config": dict(image.config),
                    "rootfs": {
                        "type": "layers",
                        "diff_ids": [f"sha256:{digests[layer]}" for layer in image.layers],
                    },
                    "history": [{"created": _EPOCH} for _ in image.layers],
                }
            ).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, name, config)
            layers = [f"{digests[layer]}.tar" for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": [reference], "Layers": layers})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
