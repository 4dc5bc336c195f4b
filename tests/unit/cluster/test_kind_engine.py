"""The parts of the kind tests' own engine that need no engine."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from tests.kind.engine import archive, runtime
from tests.kind.engine.archive import ImageSpec

ALL, WITHOUT_SYS_RESOURCE = "CapBnd:\t000001ffffffffff\n", "CapBnd:\t000001fffeffffff\n"


def test_withheld_capabilities_are_read_from_the_bounding_set() -> None:
    assert runtime.withheld(f"CapEff:\t0\n{WITHOUT_SYS_RESOURCE}") == {"CAP_SYS_RESOURCE"}
    assert runtime.withheld(ALL) == set()


def test_only_withheld_capabilities_leave_the_specification(tmp_path: Path) -> None:
    process = {
        "args": ["sh"],
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": ["CAP_SYS_RESOURCE"]},
    }
    kept = {"args": ["sh"], "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": []}}
    (tmp_path / "config.json").write_text(json.dumps({"root": {"path": "x"}, "process": process}))
    runtime.rewrite(["--root", "/r", "create", "--bundle", str(tmp_path), "id"], {"CAP_SYS_RESOURCE"})
    assert json.loads((tmp_path / "config.json").read_text()) == {"root": {"path": "x"}, "process": kept}
    (tmp_path / "process.json").write_text(json.dumps(process))
    runtime.rewrite(["exec", "--process", str(tmp_path / "process.json"), "id"], {"CAP_SYS_RESOURCE"})
    assert json.loads((tmp_path / "process.json").read_text()) == kept


def test_images_of_an_archive_share_their_layers(tmp_path: Path) -> None:
    low, high = tmp_path / "low.tar", tmp_path / "high.tar"
    low.write_bytes(b"low")
    high.write_bytes(b"high")
    config = {"Entrypoint": ["/b"]}
    archive.write(
        tmp_path / "images.tar",
        {"localhost/a:1": ImageSpec([low]), "localhost/b:2": ImageSpec([low, high], config)},
    )
    with tarfile.open(tmp_path / "images.tar") as written:
        files = {name: written.extractfile(name).read() for name in written.getnames()}  # type: ignore[union-attr]
    a, b = json.loads(files["manifest.json"])
    assert (a["RepoTags"], b["RepoTags"]) == (["localhost/a:1"], ["localhost/b:2"])
    assert a["Layers"] == b["Layers"][:1]
    assert [files[layer] for layer in b["Layers"]] == [b"low", b"high"]
    image = json.loads(files[b["Config"]])
    assert image["config"] == config
    assert image["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (b"low", b"high")
    ]
    assert b["Config"] == f"{hashlib.sha256(files[b['Config']]).hexdigest()}.json"
