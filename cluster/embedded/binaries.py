"""Build the programs of the node from their Go sources, once per content."""

from __future__ import annotations

import re
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.embedded.toolchain import go_build
from cluster.settings import REPO

NODE_SOURCE = REPO / "cluster" / "node"
PAUSE_SOURCE = REPO / "cluster" / "pause"
RELAY_SOURCE = REPO / "cluster" / "relay"

# The names that the one node binary answers to (the table in cluster/node/main.go).
PROGRAMS = (
    "coredns",
    "etcd",
    "helm",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
    "storage-provisioner",
)


def node_programs(cache: Path) -> Path:
    """Return the folder that holds every name of `PROGRAMS`, building the binary where it is missing."""
    version = kubernetes_version(NODE_SOURCE / "go.mod")
    major, minor = version.lstrip("v").split(".")[:2]
    # Kubernetes reads its version from the linker; the kubelet and others refuse an empty one.
    package = "k8s.io/component-base/version"
    flags = f"-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"

    def build(target: Path) -> None:
        target.mkdir()
        go_build(cache, NODE_SOURCE, target / "node", flags)
        for program in PROGRAMS:
            (target / program).symlink_to("node")

    return cached(cache, "node", _source_digest(NODE_SOURCE, flags, *PROGRAMS), build)


def pause_program(cache: Path) -> Path:
    """Return the static program that holds pods open, building it where it is missing."""
    return _small_program(cache, PAUSE_SOURCE)


def relay_program(cache: Path) -> Path:
    """Return the program that joins two network namespaces by a port, building it where it is missing."""
    return _small_program(cache, RELAY_SOURCE)


def _small_program(cache: Path, source: Path) -> Path:
    def build(target: Path) -> None:
        target.mkdir()
        go_build(cache, source, target / source.name)

    return cached(cache, source.name, _source_digest(source, source.name), build) / source.name


def kubernetes_version(go_mod: Path) -> str:
    """Return the version of Kubernetes that a go.mod requires, such as v1.34.4."""
    match = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod.read_text(), re.MULTILINE)
    if match is None:
        raise ValueError(f"{go_mod}: no line requires k8s.io/kubernetes")
    return match[1]


def _source_digest(source: Path, *extra: str) -> str:
    files = [path for path in source.iterdir() if path.suffix == ".go" or path.name in ("go.mod", "go.sum")]
    return digest_of(sorted(files), *extra)
