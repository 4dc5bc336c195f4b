"""A kind node image by the recipe of kind's own base image, from Debian packages and the project's programs.

The recipe is images/base/Dockerfile of the kind module. It differs in where the programs come from (Debian's
containerd, runc and CNI plugins; the project's node binary as kubelet, kubeadm, kubectl and components), in
the pod network (static routes in the place of kindnet), in the storage provisioner, and in not
asking for what sandboxes withhold (`files/`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.embedded.binaries import NODE_SOURCE, kubernetes_version, node_programs, pause_program
from cluster.shell import run
from tests.kind.engine import archive, component_images
from tests.kind.engine.archive import ImageSpec
from tests.kind.engine.kind_program import Kind

FILES = Path(__file__).parent / "files"
RECIPE = [Path(__file__).with_name(name) for name in ("archive.py", "component_images.py", "node_image.py")]
SUITE = "bookworm"
PACKAGES = (
    "bash", "ca-certificates", "conntrack", "containerd", "containernetworking-plugins", "ethtool",
    "iproute2", "iptables", "jq", "kmod", "libseccomp2", "mount", "nftables", "procps", "runc", "systemd",
    "util-linux",
)  # fmt: skip
UNITS = ("kubelet.service", "containerd.service", "undo-mount-hacks.service", "pod-network.service")
# systemd's own units that make no sense in a container; the same as in kind's Dockerfile.
_UNWANTED = (
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
)
_LIMIT = 900.0  # seconds


def ensure(cache: Path, kind: Kind) -> tuple[str, Path]:
    """Return the reference and the archive of the node image, built where it is missing."""
    programs, pause = node_programs(cache), pause_program(cache)
    version = kubernetes_version(NODE_SOURCE / "go.mod")
    digest = digest_of([kind.base_files, FILES, *RECIPE], version, programs.name, pause.name)
    reference = f"localhost/stockpipeline-test/node:{digest[:12]}"

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="kind-node-image-", dir="/var/tmp") as folder:
            work = Path(folder)
            root = _root_file_system(work / "root", kind)
            _install_programs(root, programs, version)
            said = run([programs / "kubeadm", "config", "images", "list", "--kubernetes-version", version])
            images = root / "kind/images/components.tar"
            images.parent.mkdir()
            component_images.write(images, work, programs, pause, root, said.stdout.split())
            layer = work / "root.tar"
            run(["tar", "--create", "--file", layer, "--directory", root, "--numeric-owner", "--xattrs", "."])
            config = {
                "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
                "Env": ["container=docker"],
                "StopSignal": "SIGRTMIN+3",  # systemd's for "halt"
            }
            archive.write(target, {reference: ImageSpec([layer], config)})

    return reference, cached(cache, "kind-node-image", digest, build)


def _root_file_system(root: Path, kind: Kind) -> Path:
    """Make a Debian root with kind's files and the test engine's over it, and the units that kind has."""
    run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root],
        timeout=_LIMIT,
    )
    for pattern in _UNWANTED:
        for unit in root.glob(pattern):
            unit.unlink()
    for source in (kind.base_files, FILES / "root"):
        shutil.copytree(source, root, dirs_exist_ok=True)
    for folder in ("kind/bin", "usr/local/bin"):
        for program in (root / folder).iterdir():
            program.chmod(0o755)
    with (root / "etc/systemd/journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")
    (root / "sbin/init").unlink(missing_ok=True)
    (root / "sbin/init").symlink_to("/usr/lib/systemd/systemd")
    run(["systemctl", f"--root={root}", "enable", *UNITS])
    # It would register formats with the kernel of the whole machine.
    run(["systemctl", f"--root={root}", "mask", "systemd-binfmt.service"])
    return root


def _install_programs(root: Path, programs: Path, version: str) -> None:
    """Put the programs where kind looks for them."""
    shutil.copy(programs / "node", root / "usr/bin/node")
    for name in ("kubeadm", "kubectl", "kubelet"):
        (root / "usr/bin" / name).symlink_to("node")
    (root / "usr/local/bin/containerd").symlink_to("/usr/bin/containerd")
    (root / "opt/cni").mkdir(parents=True)
    (root / "opt/cni/bin").symlink_to("/usr/lib/cni")
    (root / "etc/kubernetes/manifests").mkdir(parents=True)
    (root / "kind/version").write_text(version)
    (root / "kind/manifests").mkdir()
    for manifest in FILES.glob("*.yaml"):
        shutil.copy(manifest, root / "kind/manifests")
    _write_runtime_defaults(root)


def _write_runtime_defaults(root: Path) -> None:
    """Write the specification that containerd starts every container from, as kind's Dockerfile does."""
    spec = json.loads(run(["chroot", root, "ctr", "oci", "spec"]).stdout)
    hook = {"path": "/kind/bin/mount-product-files.sh"}
    spec.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)
    spec["process"].pop("rlimits", None)
    (root / "etc/containerd/cri-base.json").write_text(json.dumps(spec))
    # Without CAP_SYS_RESOURCE no score below the node's own can be set.
    config = root / "etc/containerd/config.toml"
    text = config.read_text()
    if "restrict_oom_score_adj = false" not in text:
        raise ValueError(
            f"{config}: kind's configuration no longer sets restrict_oom_score_adj; adapt this recipe"
        )
    config.write_text(text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true"))
