"""The images that kubeadm's static pods and add-ons run, made from the project's own node binary."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster.shell import run
from tests.kind.engine import archive
from tests.kind.engine.archive import ImageSpec

# The image of the storage provisioner's Deployment (files/default-storage.yaml).
STORAGE_IMAGE = "localhost/stockpipeline-test/storage-provisioner:latest"
# kind's containerd configuration names this one; kubeadm names a newer one, which is served as well.
SANDBOX_IMAGE = "registry.k8s.io/pause:3.10"
# What kube-proxy calls to write its rules.
_PROXY_TOOLS = ("xtables-nft-multi", "nft", "conntrack")
_XTABLES_NAMES = (
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
)
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write(
    target: Path, work: Path, programs: Path, pause: Path, root: Path, references: Sequence[str]
) -> None:
    """Write an archive with an image for each of kubeadm's `references` and the storage provisioner.

    All share one layer with the node binary under each of its names; kube-proxy's has the packet-filter
    tools of the node's own file system `root` on top.
    """
    base = _layer(work / "programs", lambda folder: _copy_programs(folder, programs, pause))
    tools = _layer(work / "tools", lambda folder: _copy_proxy_tools(folder, root))
    images = {STORAGE_IMAGE: ImageSpec([base], _runs("storage-provisioner"))}
    for reference in (*references, SANDBOX_IMAGE):
        name = reference.rpartition(":")[0].rpartition("/")[2]
        layers = [base, tools] if name == "kube-proxy" else [base]
        images[reference] = ImageSpec(layers, _runs(name))
    archive.write(target, images)


def _runs(program: str) -> dict[str, list[str]]:
    return {"Entrypoint": [f"/usr/local/bin/{program}"], "Env": [_PATH]}


def _layer(folder: Path, fill: Callable[[Path], None]) -> Path:
    folder.mkdir()
    fill(folder)
    tar = folder.with_suffix(".tar")
    run(["tar", "--create", "--file", tar, "--directory", folder, "--owner=0", "--group=0", "--sort=name",
         "--mtime=@0", "."])  # fmt: skip
    shutil.rmtree(folder)
    return tar


def _copy_programs(folder: Path, programs: Path, pause: Path) -> None:
    target = folder / "usr/local/bin"
    shutil.copytree(programs, target, symlinks=True)
    shutil.copy(pause, target / "pause")
    (folder / "tmp").mkdir(mode=0o1777)


def _copy_proxy_tools(folder: Path, root: Path) -> None:
    found = [_program(root, tool) for tool in _PROXY_TOOLS]
    plugins = sorted(path.relative_to(root) for path in root.glob("usr/lib/*/xtables/*.so"))
    # One call for all; it prints "/lib/….so.6 => …" and, before each file's own lines, "/usr/….so:".
    said = run(["chroot", root, "ldd", *(f"/{path}" for path in (*found, *plugins))]).stdout
    libraries = {Path(word.strip("/:")) for word in said.split() if word.startswith("/")}
    needed = {*found, *plugins, *libraries}
    for path in needed:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, target)
    for name in _XTABLES_NAMES:
        (folder / "usr/sbin" / name).symlink_to("xtables-nft-multi")


def _program(root: Path, name: str) -> Path:
    for folder in ("usr/sbin", "usr/bin"):
        if (root / folder / name).exists():
            return Path(folder) / name
    raise FileNotFoundError(f"{name}: not in usr/sbin or usr/bin of {root}")
