"""All programs of a node: command, configuration, identity, and how each tells that it is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.embedded import cni, containerd, control_plane, dns, kubelet, storage
from cluster.embedded.addresses import API_PORT, NODE_IP
from cluster.embedded.audit import Audit
from cluster.embedded.control_plane import Credentials
from cluster.embedded.health import answers
from cluster.embedded.layout import Layout
from cluster.embedded.namespace import Namespace
from cluster.embedded.pki import Certificate, kubeconfig
from cluster.embedded.processes import Program

_LOOPBACK = "127.0.0.1"
_ETCD_PORT, _ETCD_PEER_PORT = 2379, 2380
_CONTROLLER_MANAGER_PORT, _SCHEDULER_PORT = 10257, 10259
_IN_NODE = f"https://{_LOOPBACK}:{API_PORT}"


@dataclass(frozen=True)
class Programs:
    """Makes the `Program` of each part of the node `name`; `folder` holds the programs' files."""

    name: str
    layout: Layout
    folder: Path
    namespace: Namespace
    credentials: Credentials
    audit: Audit | None = None

    def containerd(self, pause_reference: str) -> Program:
        """The container runtime."""
        layout = self.layout
        network = layout.configuration("cni/10-pods.conflist", cni.configuration(self.name, layout.leases))
        content = containerd.configuration(
            layout.containerd_root,
            layout.containerd_state,
            layout.containerd_socket,
            network.parent,
            pause_reference,
        )
        file = layout.configuration("containerd.toml", content)
        images = containerd.Images(layout.containerd_socket)
        return Program(
            name="containerd",
            command=["containerd", f"--config={file}", "--log-level=warn"],
            ready=images.answers,
            namespace=self.namespace.path,
            depends=[content],
        )

    def etcd(self) -> Program:
        """The store of all objects."""
        urls = [f"http://{_LOOPBACK}:{port}" for port in (_ETCD_PORT, _ETCD_PEER_PORT)]
        return self._program(
            "etcd",
            control_plane.etcd(self.folder, self.layout.etcd, *urls),
            port=_ETCD_PORT,
            path="/health",
        )

    def api_server(self) -> Program:
        """The API server; whether it is well is asked through the forward that everybody uses."""
        command = control_plane.api_server(
            self.folder,
            self.credentials,
            f"http://{_LOOPBACK}:{_ETCD_PORT}",
            bind="0.0.0.0",  # noqa: S104 - of the namespace: loopback for the node, its address for pods
            port=API_PORT,
            advertise=NODE_IP,
            audit=self.audit,
        )
        serving = self.credentials.api_server.certificate.read_text()
        return Program("kube-apiserver", command, namespace=self.namespace.path, depends=[serving])

    def controller_manager(self) -> Program:
        """The controllers."""
        config = self._kubeconfig(
            "controller-manager", "system:kube-controller-manager", addresses=[_LOOPBACK]
        )
        command = control_plane.controller_manager(self.folder, self.credentials, config)
        return self._program(
            "kube-controller-manager",
            [*command, *self._serving("controller-manager")],
            port=_CONTROLLER_MANAGER_PORT,
            path="/healthz",
            tls=True,
            depends=[config.read_text()],
        )

    def scheduler(self) -> Program:
        """The scheduler."""
        config = self._kubeconfig("scheduler", "system:kube-scheduler", addresses=[_LOOPBACK])
        command = control_plane.scheduler(self.folder, config)
        return self._program(
            "kube-scheduler",
            [*command, *self._serving("scheduler")],
            port=_SCHEDULER_PORT,
            path="/healthz",
            tls=True,
            depends=[config.read_text()],
        )

    def kubelet(self, cgroup: str) -> Program:
        """The kubelet, with its pods in the control group `cgroup`."""
        layout = self.layout
        # Pods that take the node's own DNS get the cluster's too: there is no other in the namespace.
        resolv_conf = layout.configuration("resolv.conf", f"nameserver {NODE_IP}\n")
        folders = kubelet.KubeletFolders(
            root=layout.kubelet,
            logs=layout.pod_logs,
            containerd_socket=layout.containerd_socket,
            resolv_conf=resolv_conf,
        )
        authority = self.credentials.authority
        serving = authority.issue("kubelet-serving", self.name, addresses=[self.name, NODE_IP])
        config = self._kubeconfig("kubelet", f"system:node:{self.name}", ["system:nodes"])
        content = kubelet.kubelet_configuration(folders, authority.own.certificate, serving, cgroup)
        file = layout.configuration("kubelet.json", content)
        return self._program(
            "kubelet",
            kubelet.kubelet(self.folder, self.name, file, config, layout.kubelet),
            port=kubelet.HEALTH_PORT,
            path="/healthz",
            depends=[content, config.read_text()],
        )

    def proxy(self) -> Program:
        """kube-proxy."""
        config = self._kubeconfig("proxy", "system:kube-proxy")
        content = kubelet.proxy_configuration(config, self.name)
        file = self.layout.configuration("proxy.json", content)
        return self._program(
            "kube-proxy",
            kubelet.proxy(self.folder, file),
            port=kubelet.PROXY_HEALTH_PORT,
            path="/healthz",
            depends=[content, config.read_text()],
        )

    def dns(self, resolvers: Sequence[str]) -> Program:
        """CoreDNS, asking `resolvers` for outside names."""
        config = self._kubeconfig("dns", dns.USER)
        content = dns.corefile(config, resolvers)
        file = self.layout.configuration("Corefile", content)
        return self._program(
            "coredns",
            dns.command(self.folder, file),
            port=dns.READY_PORT,
            path="/ready",
            depends=[content, config.read_text()],
        )

    def storage(self) -> Program:
        """The provisioner of PersistentVolumes."""
        config = self._kubeconfig("storage", storage.USER)
        command = storage.command(self.folder, config, self.layout.volumes, self.name)
        return Program(
            "storage-provisioner", command, namespace=self.namespace.path, depends=[config.read_text()]
        )

    def _program(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        path: str,
        tls: bool = False,
        depends: Sequence[str] = (),
    ) -> Program:
        authority = self.credentials.authority.own.certificate if tls else None
        return Program(
            name=name,
            command=command,
            ready=answers(self.namespace, port, path, authority),
            namespace=self.namespace.path,
            depends=depends,
        )

    def _kubeconfig(
        self, name: str, user: str, groups: Sequence[str] = (), addresses: Sequence[str] = ()
    ) -> Path:
        authority = self.credentials.authority
        certificate = authority.issue(name, user, groups, addresses)
        return self.layout.configuration(f"{name}.kubeconfig", kubeconfig(_IN_NODE, authority, certificate))

    def _serving(self, name: str) -> list[str]:
        """The flags that make a program serve with the certificate that it also calls with."""
        own = Certificate.of(self.credentials.authority.folder, name)
        return [f"--tls-cert-file={own.certificate}", f"--tls-private-key-file={own.key}"]
