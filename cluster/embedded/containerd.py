"""The node's own containerd: its configuration, its images."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

from cluster.embedded.cni import PLUGINS
from cluster.shell import run

NAMESPACE = "k8s.io"  # where the kubelet's images and containers are
PAUSE_IMAGE = "localhost/stockpipeline/pause"


def configuration(root: Path, state: Path, endpoint: Path, cni: Path, pause_reference: str) -> str:
    """Return config.toml: `root` keeps images and containers, `state` what lives until a reboot."""
    return f"""\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{endpoint}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_reference}"
  # Without CAP_SYS_RESOURCE (in many containers and virtual machines) nobody may lower a process's OOM
  # score below his own; runc then dies with "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{state}/runc"
"""


def remove_dead_sockets(state: Path) -> None:
    """Remove the sockets of this containerd's shims that are gone.

    They lie outside of `state`, named by a hash; the only word of which are ours is in the folders of the
    containers, which containerd removes when it starts after its shims were killed.
    """
    for file in state.glob(f"io.containerd.runtime.v2.task/{NAMESPACE}/*/address"):
        endpoint = Path(file.read_text().strip().removeprefix("unix://"))
        if not listens(endpoint):
            endpoint.unlink(missing_ok=True)


def listens(endpoint: Path) -> bool:
    """Tell whether a program accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(endpoint))
        except OSError:
            return False
        return True


class Images:
    """The images of the containerd that listens at `endpoint`."""

    def __init__(self, endpoint: Path) -> None:
        self._ctr = ["ctr", f"--address={endpoint}", f"--namespace={NAMESPACE}"]

    def answers(self) -> bool:
        """Tell whether containerd serves, and its CRI plugin with it."""
        said = run([*self._ctr, "plugins", "list", "id==cri"], check=False, timeout=10)
        return said.returncode == 0 and " ok" in said.stdout

    def names(self) -> set[str]:
        """Return the references of all images."""
        listed = run([*self._ctr, "images", "list", "--quiet"], timeout=60).stdout.split()
        return {name for name in listed if not name.startswith("sha256:")}

    def load(self, archive: Path, reference: str) -> None:
        """Import a docker or OCI archive; raises `ValueError` where it does not hold `reference`."""
        run([*self._ctr, "images", "import", archive], timeout=600)
        if reference not in self.names():
            raise ValueError(f"{archive} holds no image {reference}")

    def pin(self, reference: str) -> None:
        """Keep the kubelet from removing the image when the disk is short."""
        run([*self._ctr, "images", "label", reference, "io.cri-containerd.pinned=pinned"])


def pause_reference(program: Path) -> str:
    """Return the name of the pause image made of this program."""
    return f"{PAUSE_IMAGE}:{hashlib.sha256(program.read_bytes()).hexdigest()[:12]}"
