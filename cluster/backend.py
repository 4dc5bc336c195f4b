"""What every kind of local cluster offers; `embedded` and `kind` each have one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cluster.progress import Progress


class Cluster(Protocol):
    """A local Kubernetes cluster. Every method may be called again and then does only what is left to do."""

    @property
    def kubectl(self) -> Path:
        """The kubectl program to use with this cluster."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, which reaches the API through loopback."""

    def up(self, progress: Progress) -> None:
        """Make the cluster, or heal it; returns when its nodes are Ready."""

    def down(self, progress: Progress) -> None:
        """Remove the cluster and everything that belongs to it; works on a half-made one too."""

    def running(self) -> bool:
        """Whether the API server answers."""

    def images(self) -> set[str]:
        """The references of all images that every node has."""

    def load_image(self, archive: Path, reference: str) -> None:
        """Give every node the image of a docker-archive file under the name `reference`."""

    def expose(self, local_port: int, node_port: int) -> None:
        """Serve a Service's NodePort on a port of this machine's loopback."""

    def serves(self, local_port: int) -> bool:
        """Whether it is this cluster that listens on a port of this machine's loopback."""
