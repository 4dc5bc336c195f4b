"""A real API server for tests: etcd and kube-apiserver on loopback, in a folder of their own.

    with api_server() as server:
        ...  # server.kubeconfig, server.kubectl("get", "namespaces")

It takes about four seconds to start (longer once, when the node's programs have to be built first). There
is no controller manager and no kubelet: objects are stored, validated, defaulted and watched, nothing runs.
"""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.embedded import control_plane
from cluster.embedded.audit import Audit
from cluster.embedded.binaries import node_programs
from cluster.embedded.pki import Certificate, kubeconfig, token_key
from cluster.embedded.processes import Processes, Program
from cluster.settings import Settings
from cluster.shell import run
from tests.audit import AuditLog
from tests.ports import free_port

LOOPBACK = "127.0.0.1"
OPERATOR_NAMESPACE = "stockpipeline-system"
_PREFIX = "stockpipeline-api-"  # of the folders, then the pid of the test run
_START_ATTEMPTS = 3  # between choosing a free port and using it, another process may take it


@dataclass(frozen=True)
class ApiServer:
    """A running API server: its address, its administrator, and what operators asked of it."""

    url: str
    kubeconfig: Path
    programs: Path
    audit: AuditLog

    def kubectl(self, *words: str, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as the administrator and return what it prints."""
        command: list[str | Path] = [self.programs / "kubectl", f"--kubeconfig={self.kubeconfig}", *words]
        return run(command, input=input, timeout=60).stdout


@contextmanager
def api_server(programs: Path | None = None) -> Iterator[ApiServer]:
    """Start etcd and an API server of their own and stop them at the end, whatever happens.

    `programs` is the folder of the node's programs (default: built into the project's cache).
    """
    if programs is None:
        programs = node_programs(Settings.from_environment().cache)
    _clear_after_killed_tests()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        root = Path(folder)
        processes = Processes(root / "run", root / "logs")
        try:
            yield _start(programs, root, processes)
        finally:
            processes.stop(*processes.names(), grace=0)  # nothing of theirs is kept


def _clear_after_killed_tests() -> None:
    """Stop and remove what test runs left that were killed before they could do so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).split("-")[0]
        if not Path(f"/proc/{owner}").exists():
            left = Processes(folder / "run", folder / "logs")
            left.stop(*left.names(), grace=0)
            shutil.rmtree(folder, ignore_errors=True)  # another run may be clearing it too


def _start(programs: Path, root: Path, processes: Processes) -> ApiServer:
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            return _started(programs, root, processes)
        except RuntimeError as error:
            processes.stop(*processes.names(), grace=0)
            if attempt == _START_ATTEMPTS or "address already in use" not in str(error):
                raise
    raise AssertionError("unreachable")


def _started(programs: Path, root: Path, processes: Processes) -> ApiServer:
    client, peer, port = free_port(), free_port(), free_port()
    credentials = control_plane.issue_credentials(root / "pki", token_key(root), (LOOPBACK,))
    admin = credentials.authority.issue("admin", "admin", ["system:masters"])
    etcd_url, url = f"http://{LOOPBACK}:{client}", f"https://{LOOPBACK}:{port}"
    etcd = control_plane.etcd(programs, root / "etcd", etcd_url, f"http://{LOOPBACK}:{peer}")
    audit = Audit(root / "audit", OPERATOR_NAMESPACE)
    server = control_plane.api_server(
        programs, credentials, etcd_url, bind=LOOPBACK, port=port, advertise="192.0.2.1", audit=audit
    )
    authority = credentials.authority.own.certificate
    # The API server waits for its etcd by itself.
    processes.ensure(
        Program("etcd", etcd),
        Program("kube-apiserver", server, ready=lambda: _ready(port, authority, admin)),
    )
    config = root / "admin.kubeconfig"
    config.write_text(kubeconfig(url, credentials.authority, admin))
    return ApiServer(url, config, programs, AuditLog(audit.log))


def _ready(port: int, authority: Path, admin: Certificate) -> bool:
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(admin.certificate, admin.key)
    with closing(http.client.HTTPSConnection(LOOPBACK, port, context=context, timeout=5)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
