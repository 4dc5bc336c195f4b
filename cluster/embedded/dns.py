"""Cluster DNS: CoreDNS as a program of the node, and the Service that pods find it by.

Not as a pod: it needs no image then, and answers before the first pod starts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.embedded.addresses import CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IP

USER = "stockpipeline:dns"
READY_PORT = 8181
_METRICS_PORT = 9153
_PORTS = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", _METRICS_PORT))
# systemd-resolved puts a stub on loopback into /etc/resolv.conf; the real servers are in its own file.
_RESOLV_CONFS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


def corefile(kubeconfig: Path, resolvers: Sequence[str]) -> str:
    """Return CoreDNS's configuration; outside names go to `resolvers`, or fail at once without any."""
    forward = f"    forward . {' '.join(resolvers)}\n" if resolvers else ""
    return f"""\
.:53 {{
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:{READY_PORT}
    prometheus {NODE_IP}:{_METRICS_PORT}
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }}
{forward}    cache 30
}}
"""


def command(programs: Path, configuration: Path) -> list[str]:
    """Return the command of CoreDNS."""
    return [f"{programs}/coredns", "-conf", str(configuration)]


def host_resolvers(files: Sequence[Path] = _RESOLV_CONFS) -> list[str]:
    """Return the addresses of this machine's name servers that can be reached from another namespace."""
    for file in files:
        lines = file.read_text().splitlines() if file.exists() else []
        servers = [words[1] for line in lines if (words := line.split())[:1] == ["nameserver"] and words[1:]]
        reachable = [server for server in servers if not _is_loopback(server)]
        if reachable:
            return reachable
    return []


def objects() -> list[dict[str, Any]]:
    """Return the Service kube-dns with the node as its endpoint, and what CoreDNS may read."""
    labels = {"app.kubernetes.io/name": "coredns", "app.kubernetes.io/part-of": "stockpipeline-node"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {
                "clusterIP": DNS_SERVICE_IP,
                "ports": [
                    {"name": name, "protocol": protocol, "port": port, "targetPort": port}
                    for name, protocol, port in _PORTS
                ],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {**labels, "kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_IP], "conditions": {"ready": True}}],
            "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in _PORTS],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER, "labels": labels},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        },
    ]


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.split("%")[0]).is_loopback
    except ValueError:
        return True  # not an address: nothing that a forwarder could use
