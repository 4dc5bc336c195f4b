"""The command lines of etcd, the API server, the controller manager and the scheduler.

Tuned for one small node that idles most of the time: one replica of everything needs no leader election,
and nothing here is worth an fsync, because a cluster that loses its machine's power is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.embedded.addresses import CLUSTER_DOMAIN, POD_RANGE, SERVICE_RANGE
from cluster.embedded.audit import Audit
from cluster.embedded.pki import Authority, Certificate

AUTHORITY = "ca"  # the name of the authority that signs all of the cluster
# Host names that the API server is called by from inside the cluster.
API_SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
    "localhost",
)


@dataclass(frozen=True)
class Credentials:
    """Whom the control plane trusts and what it shows to others.

    `authority` signs all of the cluster; `front_proxy` only the API server's calls to extension API servers.
    """

    authority: Authority
    front_proxy: Authority
    api_server: Certificate
    kubelet_client: Certificate
    front_proxy_client: Certificate
    token_key: Certificate


def issue_credentials(folder: Path, token_key: Certificate, addresses: tuple[str, ...]) -> Credentials:
    """Make or find the credentials in `folder`; `addresses` are the IPs that the API server is reached at."""
    authority = Authority.open(folder, AUTHORITY)
    front_proxy = Authority.open(folder, "front-proxy-ca")
    return Credentials(
        authority=authority,
        front_proxy=front_proxy,
        api_server=authority.issue(
            "kube-apiserver", "kube-apiserver", addresses=(*API_SERVER_NAMES, *addresses)
        ),
        kubelet_client=authority.issue("kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]),
        front_proxy_client=front_proxy.issue("front-proxy-client", "front-proxy-client"),
        token_key=token_key,
    )


def etcd(programs: Path, data: Path, client_url: str, peer_url: str) -> list[str]:
    """Return the command of an etcd that keeps its data in the folder `data`.

    It listens without TLS: only on the loopback of a namespace (or of a test) where nothing else lives.
    """
    return [
        f"{programs}/etcd",
        "--name=node",
        f"--data-dir={data}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=node={peer_url}",
        # A power cut may cost the cluster, never the user's data: `make down && make up` makes a new one.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(
    programs: Path,
    credentials: Credentials,
    etcd_url: str,
    *,
    bind: str,
    port: int,
    advertise: str,
    audit: Audit | None = None,
) -> list[str]:
    """Return the command of an API server on `bind`:`port` that tells others to reach it at `advertise`."""
    own, tokens = credentials.api_server, credentials.token_key
    return [
        f"{programs}/kube-apiserver",
        f"--etcd-servers={etcd_url}",
        f"--bind-address={bind}",
        f"--secure-port={port}",
        f"--advertise-address={advertise}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--anonymous-auth=false",
        f"--client-ca-file={credentials.authority.own.certificate}",
        f"--tls-cert-file={own.certificate}",
        f"--tls-private-key-file={own.key}",
        f"--kubelet-client-certificate={credentials.kubelet_client.certificate}",
        f"--kubelet-client-key={credentials.kubelet_client.key}",
        f"--kubelet-certificate-authority={credentials.authority.own.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={credentials.front_proxy.own.certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={credentials.front_proxy_client.certificate}",
        f"--proxy-client-key-file={credentials.front_proxy_client.key}",
        f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
        f"--service-account-key-file={tokens.certificate}",
        f"--service-account-signing-key-file={tokens.key}",
        # One server never waits for others to leave the load balancer.
        "--shutdown-delay-duration=0s",
        "--profiling=false",
        "--v=0",
        *(audit.options() if audit else ()),
    ]


def controller_manager(programs: Path, credentials: Credentials, kubeconfig: Path) -> list[str]:
    """Return the command of the controller manager."""
    authority = credentials.authority.own
    return [
        f"{programs}/kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={credentials.token_key.key}",
        f"--root-ca-file={authority.certificate}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
        f"--cluster-cidr={POD_RANGE}",
        "--allocate-node-cidrs=false",
        # The CNI plugin gives out addresses, and no cloud has routes or nodes to look after.
        "--controllers=*,-cloud-node-lifecycle-controller,-node-route-controller,-service-lb-controller",
        "--profiling=false",
        "--v=0",
    ]


def scheduler(programs: Path, kubeconfig: Path) -> list[str]:
    """Return the command of the scheduler."""
    return [
        f"{programs}/kube-scheduler",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
        "--v=0",
    ]
