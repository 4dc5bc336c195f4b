"""Where one cluster keeps what, below its state folder (survives a reboot) and its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.settings import DEFAULT_NAME


def machine_name(cluster: str) -> str:
    """Return the name of the cluster's control group and network namespace among all of this machine.

    `docker` or `system` may be the name of a cluster, and must not be taken for that of another's group.
    """
    return DEFAULT_NAME if cluster == DEFAULT_NAME else f"{DEFAULT_NAME}.{cluster}"


@dataclass(frozen=True)
class Layout:
    """The files and folders of one cluster."""

    state: Path
    run: Path

    @property
    def lock(self) -> Path:
        """Held by whoever changes the cluster; beside the run folder, which goes away with the cluster."""
        return self.run.with_name(f"{self.run.name}.lock")

    @property
    def certificates(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def configurations(self) -> Path:
        """What the programs read at their start."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """What the node's programs print."""
        return self.state / "logs"

    @property
    def pod_logs(self) -> Path:
        """What containers print."""
        return self.state / "pod-logs"

    @property
    def etcd(self) -> Path:
        """The cluster's objects."""
        return self.state / "etcd"

    @property
    def containerd_root(self) -> Path:
        """Images and the file systems of containers."""
        return self.state / "containerd"

    @property
    def containerd_state(self) -> Path:
        """The state of running containers."""
        return self.run / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def cni(self) -> Path:
        """The configuration of the pods' network."""
        return self.configurations / "cni"

    @property
    def leases(self) -> Path:
        """The addresses that pods have."""
        return self.run / "leases"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root, with the mounts of all pods."""
        return self.state / "kubelet"

    @property
    def volumes(self) -> Path:
        """The content of PersistentVolumes."""
        return self.state / "volumes"

    @property
    def pids(self) -> Path:
        """The pid files of the node's programs."""
        return self.run / "programs"

    @property
    def kernel_settings(self) -> Path:
        """The machine's kernel settings as they were before."""
        return self.state / "kernel.json"

    def configuration(self, name: str, content: str) -> Path:
        """Write a configuration file, readable by root alone, where it differs; return its path."""
        return self.write(self.configurations / name, content)

    def write(self, file: Path, content: str) -> Path:
        """Write a file, readable by root alone, where it differs; return its path."""
        if not file.exists() or file.read_text() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.name}.new")
            temporary.touch(mode=0o600)
            temporary.write_text(content)
            temporary.replace(file)
        return file
