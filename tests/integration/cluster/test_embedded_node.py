"""The embedded cluster itself: what runs on it, how it heals, and that it leaves nothing behind."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.embedded.addresses import NODE_IP
from cluster.embedded.cgroups import ControlGroup
from cluster.embedded.layout import Layout, machine_name
from cluster.embedded.namespace import Namespace
from cluster.embedded.node import EmbeddedNode
from cluster.embedded.processes import Processes
from cluster.progress import Progress
from cluster.settings import REPO, Settings, slot_of
from cluster.shell import CommandError, run, wait_until
from tests.integration.cluster import manifests, outside
from tests.integration.cluster.probe_image import REFERENCE, probe_archive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces and mounts need root")

PROGRAMS = [
    "containerd",
    "coredns",
    "etcd",
    "forward-api",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "storage-provisioner",
]


class Cluster:
    """An embedded cluster under test."""

    def __init__(self, name: str) -> None:
        self.settings = Settings.from_environment({**os.environ, "CLUSTER_NAME": name, "CLUSTER": "node"})
        self.node = EmbeddedNode(self.settings)
        layout = Layout(self.settings.state, self.settings.run)
        self.processes = Processes(layout.pids, layout.logs)

    def up(self) -> None:
        self.node.up(Progress(io.StringIO()))

    def down(self) -> None:
        self.node.down(Progress(io.StringIO()))

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        command: list[str | Path] = [self.node.kubectl, f"--kubeconfig={self.settings.kubeconfig}", *words]
        return run(command, input=stdin, timeout=90).stdout

    def exec(self, pod: str, *words: str) -> str:
        return self.kubectl("exec", "-n", manifests.NAMESPACE, pod, "--", "/probe", *words)

    def wait_for_pods(self) -> None:
        self.kubectl(
            "wait", "-n", manifests.NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=80s"
        )

        wait_until(self.web_answers, 30, "the Service web answers")

    def web_answers(self) -> bool:
        try:
            return manifests.TEXT in self.exec("caller", "get", "http://web/")
        except CommandError:
            return False

    def pids(self) -> dict[str, int | None]:
        return {name: self.processes.pid(name) for name in self.processes.names()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster("node-test")
    cluster.down()  # what a killed test run may have left
    try:
        cluster.up()
        cluster.node.load_image(probe_archive(cluster.settings.cache), REFERENCE)
        cluster.kubectl("apply", "-f", "-", stdin=manifests.manifests())
        cluster.wait_for_pods()
        yield cluster
    finally:
        cluster.down()


def test_services_names_and_node_ports_reach_a_pod(cluster: Cluster) -> None:
    assert manifests.TEXT in cluster.exec("caller", "get", "http://web.probe.svc.cluster.local/")
    assert manifests.TEXT in cluster.exec("web", "get", "http://web.probe/"), (
        "a pod reaches itself by its Service"
    )
    service = cluster.kubectl("get", "-n", "probe", "service/web", "-o", "jsonpath={.spec.clusterIP}")
    assert cluster.exec("caller", "resolve", "web").strip() == service
    local_port = cluster.settings.prometheus_port
    cluster.node.forward(local_port, NODE_IP, manifests.NODE_PORT)
    assert _fetch(local_port).startswith(manifests.TEXT)


def test_a_restricted_pod_writes_to_its_volume(cluster: Cluster) -> None:
    assert "first" in cluster.exec("web", "append", "/data/lines", "first")


def test_pod_security_refuses_a_pod_that_is_not_restricted(cluster: Cluster) -> None:
    with pytest.raises(CommandError, match=r'violates PodSecurity "restricted'):
        cluster.kubectl("apply", "-f", "-", stdin=manifests.privileged_pod())


def test_logs_and_port_forward(cluster: Cluster) -> None:
    assert cluster.kubectl("logs", "-n", "probe", "web") == f"serving {manifests.TEXT}\n"
    config = f"--kubeconfig={cluster.settings.kubeconfig}"
    command: list[str | Path] = [
        cluster.node.kubectl,
        config,
        "port-forward",
        "-n",
        "probe",
        "pod/web",
        ":8080",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            said = forwarding.stdout.readline()  # Forwarding from 127.0.0.1:PORT -> 8080
            assert _fetch(int(said.split(":")[1].split()[0])).startswith(manifests.TEXT)
        finally:
            forwarding.terminate()


def test_the_outside_is_refused_at_once(cluster: Cluster) -> None:
    reason = r"network is unreachable|server misbehaving|no such host"
    for words in (["get", f"http://{outside.ADDRESS}:{outside.PORT}/"], ["resolve", outside.NAME]):
        began = time.monotonic()
        with pytest.raises(CommandError, match=reason):
            cluster.exec("caller", *words)
        assert time.monotonic() - began < 4, "refused, not timed out (after 5 s)"


def test_up_again_starts_nothing(cluster: Cluster) -> None:
    before = cluster.pids()
    cluster.up()
    assert cluster.pids() == before


@pytest.mark.parametrize("program", PROGRAMS)
def test_up_heals_a_killed_program(cluster: Cluster, program: str) -> None:
    before = cluster.pids()
    pid = before[program]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    cluster.up()
    after = cluster.pids()
    assert after.pop(program) not in (None, before.pop(program))
    assert after == before, "the others run on"
    wait_until(cluster.web_answers, 10, "the pods run on and can be reached")


def test_up_heals_a_program_that_hangs(cluster: Cluster) -> None:
    before = cluster.processes.pid("coredns")
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    cluster.up()
    assert cluster.processes.pid("coredns") not in (None, before)


def test_up_heals_after_everything_was_killed(cluster: Cluster) -> None:
    """As after a crash of the machine: no process is left, but mounts, namespace and files are."""
    cluster.exec("web", "append", "/data/lines", "kept")
    ControlGroup(machine_name(cluster.settings.name)).kill()
    cluster.up()
    cluster.wait_for_pods()
    assert "kept" in cluster.exec("web", "append", "/data/lines", "more")
    assert manifests.TEXT in cluster.exec("caller", "get", "http://web/")


def test_egress_opens_and_closes_the_way_out(cluster: Cluster) -> None:
    url = f"http://{outside.NAME}:{outside.PORT}/"
    with outside.world(cluster.settings.name) as world:
        open_settings = dataclasses.replace(cluster.settings, egress=True)
        EmbeddedNode(open_settings, uplink=world.uplink, resolvers=[outside.ADDRESS]).up(
            Progress(io.StringIO())
        )
        assert outside.GREETING in cluster.exec("caller", "get", url)
        assert world.callers == ["203.0.113.1"], "the outside sees the machine, not the pod"
        with pytest.raises(OSError, match=r"unreachable|refused|timed out"):
            world.outside.connect(NODE_IP, 6443, timeout=1)

        EmbeddedNode(cluster.settings, uplink=world.uplink).up(Progress(io.StringIO()))
        with pytest.raises(CommandError, match=r"server misbehaving|no such host"):
            cluster.exec("caller", "get", url)
        assert not world.uplink.has_link(f"spl-{slot_of(cluster.settings.name)}")
        assert "stockpipeline" not in world.uplink.run("nft", "list", "tables")


def test_a_second_cluster_heals_from_half_an_up_and_leaves_nothing(cluster: Cluster) -> None:
    second = Cluster("node-test-2")
    second.down()
    try:
        _start_and_kill(second)
        second.up()
        assert second.settings.name in second.kubectl("get", "nodes", "-o", "name")
        assert cluster.settings.name in cluster.kubectl("get", "nodes", "-o", "name")
    finally:
        second.down()
    second.down()  # where nothing is, it does nothing
    assert _traces(second) == []
    assert manifests.TEXT in cluster.exec("caller", "get", "http://web/"), "the first runs on"


def test_down_leaves_nothing_of_a_cluster_with_pods(cluster: Cluster) -> None:
    """The last test of this cluster."""
    assert len(_traces(cluster)) > 5, "the search finds what a running cluster consists of"
    cluster.down()
    assert _traces(cluster) == []


def _start_and_kill(cluster: Cluster) -> None:
    """Bring the cluster up in a process of its own and kill that as soon as the API server was started."""
    environment = {
        **os.environ,
        "CLUSTER_NAME": cluster.settings.name,
        "CLUSTER": "node",
        "PYTHONPATH": str(REPO),
    }
    code = (
        "from cluster.embedded.node import EmbeddedNode; from cluster.progress import Progress; "
        "from cluster.settings import Settings; EmbeddedNode(Settings.from_environment()).up(Progress())"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL) as up:
        try:
            wait_until(lambda: cluster.processes.alive("kube-apiserver"), 60, "the API server was started")
        finally:
            up.kill()
    assert up.returncode == -signal.SIGKILL, "it was killed half-way, not at its end"


def _traces(cluster: Cluster) -> list[str]:
    """Return everything of a cluster that is left on this machine."""
    name = cluster.settings.name
    machine = machine_name(name)
    found = [str(path) for path in Path("/sys/fs/cgroup").rglob(machine)]
    mine = (f"/{name}/", f"/{machine}/", f"/{machine} ")
    found += [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if any(m in line for m in mine)
    ]
    folders = [cluster.settings.state, cluster.settings.run, Namespace(machine).path]
    found += [str(path) for path in folders if path.exists()]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [words] if any(f"/{name}/" in word for word in words.split("\0")) else []
    for link in Path("/var/log/containers").glob("*"):
        found += [str(link)] if link.is_symlink() and f"/{name}/" in str(link.readlink()) else []
    found += [str(path) for path in Path("/var/lib/cni/results").glob(f"{name}-*-eth0")]
    return found


def _fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return str(answer.read().decode())
