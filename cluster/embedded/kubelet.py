"""The kubelet and kube-proxy: their configurations and command lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.embedded.addresses import CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IP, POD_RANGE
from cluster.embedded.pki import Certificate

HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256


@dataclass(frozen=True)
class KubeletFolders:
    """Where the kubelet keeps things; nothing of it is shared with another cluster."""

    root: Path
    logs: Path
    containerd_socket: Path
    resolv_conf: Path


def kubelet_configuration(folders: KubeletFolders, authority: Path, serving: Certificate, cgroup: str) -> str:
    """Return a KubeletConfiguration (JSON, which is YAML) for a node in the control group `cgroup`."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_IP,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": HEALTH_PORT,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(authority)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "containerRuntimeEndpoint": f"unix://{folders.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup,
            "enforceNodeAllocatable": ["pods"],
            "clusterDNS": [DNS_SERVICE_IP],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": str(folders.resolv_conf),
            "podLogsDir": str(folders.logs),
            "volumePluginDir": str(folders.root / "volume-plugins"),
            "failSwapOn": False,
            "failCgroupV1": False,
            "oomScoreAdj": 0,  # lowering it needs CAP_SYS_RESOURCE
            # A developer's disk is often fuller than a server's: neither evict pods nor remove images for it.
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
            # Changes arrive by watches; these are only the intervals of looking again.
            "syncFrequency": "2m",
            "fileCheckFrequency": "1h",
            "httpCheckFrequency": "1h",
            "volumeStatsAggPeriod": "5m",
            "containerLogMaxSize": "5Mi",
            "containerLogMaxFiles": 2,
            "logging": {"verbosity": 0},
        }
    )


def kubelet(programs: Path, node: str, configuration: Path, kubeconfig: Path, root: Path) -> list[str]:
    """Return the command of the kubelet of the node named `node`."""
    return [
        f"{programs}/kubelet",
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={root}",
        f"--hostname-override={node}",
        f"--node-ip={NODE_IP}",
    ]


def proxy_configuration(kubeconfig: Path, node: str) -> str:
    """Return a KubeProxyConfiguration for nftables."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            # A new endpoint is in use at once: there are few rules here, which are soon written.
            "nftables": {"minSyncPeriod": "100ms"},
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "clusterCIDR": POD_RANGE,
            "hostnameOverride": node,
            "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}",
            "metricsBindAddress": "127.0.0.1:10249",
            # 0 leaves the limits of connection tracking as they are: they belong to the whole machine.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def proxy(programs: Path, configuration: Path) -> list[str]:
    """Return the command of kube-proxy."""
    return [f"{programs}/kube-proxy", f"--config={configuration}"]


def _json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2) + "\n"
