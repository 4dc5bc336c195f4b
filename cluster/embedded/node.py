"""The embedded one-node cluster: bring it up, mend it, take it away.

Bringing it up compares what is with what should be and does the difference, so it is also the way to heal
it after any of its programs, or an earlier attempt, was killed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cluster.embedded import containerd, control_plane, dns, kernel, storage, teardown
from cluster.embedded.addresses import API_PORT, API_SERVICE_IP, NODE_IP
from cluster.embedded.api_client import ApiClient
from cluster.embedded.archive import write_program_image
from cluster.embedded.audit import Audit
from cluster.embedded.binaries import node_programs, pause_program, relay_program
from cluster.embedded.cgroups import ControlGroup
from cluster.embedded.egress import Egress
from cluster.embedded.forward import LOOPBACK, forward
from cluster.embedded.layout import Layout, machine_name
from cluster.embedded.locked import locked
from cluster.embedded.namespace import Namespace, furnish
from cluster.embedded.pki import Certificate, kubeconfig, token_key
from cluster.embedded.processes import Processes
from cluster.embedded.programs import Programs
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import wait_until

_NODE_TIMEOUT = 60.0  # seconds for the kubelet to report a Ready node
_ADMIN = "admin"
_ENTRANCE = "forward-api"  # the relay to the API server
_PODS = "kubepods"  # the kubelet's group for all pods, below the cluster's


class EmbeddedNode:
    """A real Kubernetes of one node, in a network namespace of its own.

    With `settings.egress`, pods reach the outside through `uplink` (default: this machine's own namespace)
    and outside names are asked of `resolvers` (default: this machine's). With `audit`, its API server records
    requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        uplink: Namespace | None = None,
        resolvers: Sequence[str] | None = None,
        audit: Audit | None = None,
    ) -> None:
        self._settings = settings
        self._layout = Layout(settings.state, settings.run)
        self._namespace = Namespace(machine_name(settings.name))
        self._group = ControlGroup(machine_name(settings.name))
        self._processes = Processes(self._layout.pids, self._layout.logs, self._group.members_file)
        self._egress = Egress(settings.name, settings.slot, self._namespace, settings.run.parent, uplink)
        self._resolvers = resolvers
        self._audit = audit
        self._images = containerd.Images(self._layout.containerd_socket)

    @cached_property
    def programs(self) -> Path:
        """The folder of kubectl, helm and all other programs of the node, built where it is missing."""
        return node_programs(self._settings.cache)

    @cached_property
    def _relay(self) -> Path:
        return relay_program(self._settings.cache)

    @property
    def _url(self) -> str:
        return f"https://{LOOPBACK}:{self._settings.api_port}"

    @property
    def kubectl(self) -> Path:
        """The kubectl program of the cluster's own version."""
        return self.programs / "kubectl"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, which reaches the API through loopback."""
        return self._settings.kubeconfig

    def up(self, progress: Progress) -> None:
        """Bring the node up, or mend it, until it is Ready; seconds when it is whole already.

        Raises `RuntimeError`, `TimeoutError` or `CommandError` with what failed and the end of its log.
        """
        with progress.step("Programs of the node"):
            programs, pause = self.programs, pause_program(self._settings.cache)
        with locked(self._layout.lock), progress.step("Kubernetes node"):
            self._settings.remember()
            kernel.remember(self._layout.kernel_settings)
            self._group.create()
            self._enter_network()
            node, client = self._identities(programs)
            with progress.step("Container runtime and API server"):
                self._start_base(node, client, pause)
            with progress.step("Controllers, kubelet, network, DNS, storage"):
                self._start_rest(node, client)

    def down(self, progress: Progress) -> None:
        """Remove everything but the cache: programs, containers, mounts, network, control groups, state.

        Its folders are made first and removed last: where none is, nothing of this cluster is left.
        """
        with locked(self._layout.lock), progress.step("Remove the Kubernetes node"):
            if not (self._layout.state.exists() or self._layout.run.exists()):
                return
            teardown.end_processes(self._processes, self._group, self._namespace)
            self._egress.disconnect()
            teardown.remove_traces(self._settings.name, self._layout, self._group, self._namespace)

    def running(self) -> bool:
        """Tell whether the API server answers."""
        if not self._settings.kubeconfig.exists():
            return False
        return self._client().ready()

    def load_image(self, archive: Path, reference: str) -> None:
        """Import an image archive; raises `ValueError` where it does not hold `reference`."""
        self._images.load(archive, reference)

    def images(self) -> set[str]:
        """Return the references of all images that pods can use."""
        return self._images.names()

    def pids(self) -> set[int]:
        """Return the processes of the node and of all its pods."""
        return self._group.pids()

    def forward(self, local_port: int, address: str, port: int) -> None:
        """Carry 127.0.0.1:`local_port` to an address inside, such as a Service's, from now until `down`."""
        program = forward(self._relay, _forward_name(local_port), self._namespace, local_port, address, port)
        self._processes.ensure(program)

    def expose(self, local_port: int, node_port: int) -> None:
        """Serve a Service's NodePort on 127.0.0.1:`local_port`, from now until `down`."""
        self.forward(local_port, NODE_IP, node_port)

    def serves(self, local_port: int) -> bool:
        """Tell whether a relay of this cluster listens on 127.0.0.1:`local_port`."""
        entrance = _ENTRANCE if local_port == self._settings.api_port else _forward_name(local_port)
        return self._processes.alive(entrance)

    def _enter_network(self) -> None:
        if self._namespace.create():
            # Pods of an earlier namespace hang on links that are gone: the kubelet makes them anew.
            self._group.kill(_PODS)
        furnish(self._namespace)
        if self._settings.egress:
            self._egress.connect()
        else:
            self._egress.disconnect()

    def _identities(self, programs: Path) -> tuple[Programs, ApiClient]:
        layout = self._layout
        tokens = token_key(layout.certificates)
        reached_at = (LOOPBACK, NODE_IP, API_SERVICE_IP)
        credentials = control_plane.issue_credentials(layout.certificates, tokens, reached_at)
        admin = credentials.authority.issue(_ADMIN, "admin", ["system:masters"])
        layout.write(self._settings.kubeconfig, kubeconfig(self._url, credentials.authority, admin))
        node = Programs(self._settings.name, layout, programs, self._namespace, credentials, self._audit)
        return node, self._client()

    def _client(self) -> ApiClient:
        authority = Certificate.of(self._layout.certificates, control_plane.AUTHORITY)
        return ApiClient(self._url, authority.certificate, Certificate.of(self._layout.certificates, _ADMIN))

    def _start_base(self, node: Programs, client: ApiClient, pause: Path) -> None:
        pause_reference = containerd.pause_reference(pause)
        runtime = node.containerd(pause_reference)
        server = dataclasses.replace(node.api_server(), ready=client.ready)
        entrance = forward(
            self._relay, _ENTRANCE, self._namespace, self._settings.api_port, NODE_IP, API_PORT
        )
        base = [node.etcd(), entrance, server]
        started = {program.name for program in base if self._processes.start(program)}
        # While the API server starts, which takes the longest:
        if not self._processes.alive(runtime.name):
            containerd.remove_dead_sockets(self._layout.containerd_state)
        self._processes.ensure(runtime)
        if pause_reference not in self._images.names():
            archive = self._layout.run / "pause.tar"
            write_program_image(pause, pause_reference, archive)
            self._images.load(archive, pause_reference)
            self._images.pin(pause_reference)
            archive.unlink()
        self._processes.wait(base, started)

    def _start_rest(self, node: Programs, client: ApiClient) -> None:
        for item in (*dns.objects(), *storage.objects()):
            client.apply(item)
        resolvers: Sequence[str] = ()
        if self._settings.egress:
            resolvers = dns.host_resolvers() if self._resolvers is None else self._resolvers
        kubelet = node.kubelet(self._group.name)
        since = datetime.now(UTC).replace(microsecond=0)
        started = self._processes.ensure(
            kubelet,
            node.controller_manager(),
            node.scheduler(),
            node.proxy(),
            node.dns(resolvers),
            node.storage(),
        )
        # A node that was Ready before stays so for a while after its kubelet died: ask for a newer word.
        newer_than = since if kubelet.name in started else datetime.min.replace(tzinfo=UTC)
        name = self._settings.name
        wait_until(lambda: client.node_is_ready(name, newer_than), _NODE_TIMEOUT, f"node {name} is Ready")
        # Without it no pod can be made in that namespace.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until(
            lambda: client.get(account) is not None, _NODE_TIMEOUT, "the default service account is there"
        )


def _forward_name(local_port: int) -> str:
    return f"forward-{local_port}"
