"""A Docker engine of the tests' own: Debian's, unpacked and never installed, removed without a trace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster.artifacts import cached, digest_of
from cluster.shell import CommandError, run, wait_until
from tests.kind.engine import namespace

PACKAGE = "docker.io"
# The engine's network namespace, its cgroup, and its two folders bear this name: what an earlier run left
# behind after a SIGKILL is found by it.
NAME = "stockpipeline-test-engine"
STATE = Path("/var/lib") / NAME
RUN = Path("/run") / NAME
SOCKET = RUN / "docker.sock"
RUNTIME = Path(__file__).with_name("runtime.py")
_CGROUPS = Path("/sys/fs/cgroup")
_START_LIMIT, _STOP_LIMIT = 60.0, 60.0  # seconds


def unpacked(cache: Path) -> Path:
    """Return the folder with the package's files, downloaded where it is missing."""
    listed = run(["apt-cache", "policy", PACKAGE]).stdout.splitlines()
    versions = [line.partition(":")[2].strip() for line in listed if line.strip().startswith("Candidate:")]
    if not versions:
        raise FileNotFoundError(f"{PACKAGE}: apt knows no such package; run apt-get update")

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)  # apt downloads as a user of its own
            run(["apt-get", "download", "--quiet", f"{PACKAGE}={versions[0]}"], cwd=Path(folder))
            (package,) = Path(folder).glob("*.deb")
            run(["dpkg", "--extract", package, target])

    return cached(cache, "docker", digest_of([], PACKAGE, versions[0]), build)


@contextlib.contextmanager
def running(package: Path) -> Iterator[None]:
    """Run the engine in its network namespace; with the block it ends, and all that it ever made."""
    clear()
    namespace.create(NAME)
    try:
        with _started(package):
            yield
    finally:
        clear()


@contextlib.contextmanager
def _started(package: Path) -> Iterator[None]:
    for folder in (STATE, RUN):
        folder.mkdir(mode=0o700)
    log, client = RUN / "dockerd.log", package / "usr/bin/docker"
    command = [
        "nsenter", f"--net={namespace.path_of(NAME)}",
        package / "usr/sbin/dockerd",
        f"--host=unix://{SOCKET}", f"--data-root={STATE}", f"--exec-root={RUN / 'exec'}",
        f"--pidfile={RUN / 'dockerd.pid'}", "--oom-score-adjust=0", f"--cgroup-parent=/{NAME}",
        f"--add-runtime=restricted={RUNTIME}", "--default-runtime=restricted",
        f"--userland-proxy-path={package / 'usr/sbin/docker-proxy'}",
        "--bridge=none",  # kind makes a network of its own
    ]  # fmt: skip
    with log.open("wb") as output:
        engine = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": f"{package / 'usr/sbin'}:{os.environ['PATH']}"},
        )
    try:

        def answers() -> bool:
            if engine.poll() is not None:
                raise CommandError([str(word) for word in command], "ended", log.read_text(errors="replace"))
            return run([client, f"--host=unix://{SOCKET}", "version"], check=False).returncode == 0

        wait_until(answers, _START_LIMIT, f"dockerd answers (its log: {log})")
        yield
    finally:
        # Its containers are thrown away next: no need to let it stop them one by one.
        engine.kill()
        engine.wait()


def clear() -> None:
    """Remove whatever an engine left: processes, mounts, namespace, cgroups, folders. It may be nothing."""
    wait_until(_no_processes, _STOP_LIMIT, f"the processes of {NAME} end")
    namespace.remove(NAME)
    for mount in reversed(_mounts()):
        run(["umount", "--lazy", mount])
    for folder in (STATE, RUN):
        if folder.exists():
            shutil.rmtree(folder)
    for cgroup in _cgroups():
        for path, _, _ in os.walk(cgroup, topdown=False):
            Path(path).rmdir()


def _no_processes() -> bool:
    """Kill every process of the engine and of its containers; return whether there was none."""
    found = {*namespace.processes(NAME), *_processes_of_containers()}
    for pid in found - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not found


def _processes_of_containers() -> set[int]:
    found: set[int] = set()
    for cgroup in _cgroups():
        for members in cgroup.glob("**/cgroup.procs"):
            with contextlib.suppress(OSError):  # the cgroup may end while it is read
                found |= {int(pid) for pid in members.read_text().split()}
    return found


def _cgroups() -> list[Path]:
    """Return the engine's cgroups: one, or with cgroup v1 one of each hierarchy."""
    return [path for path in (_CGROUPS / NAME, *_CGROUPS.glob(f"*/{NAME}")) if path.is_dir()]


def _mounts() -> list[str]:
    """Return the mount points below the engine's folders, in the order in which they were made."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(STATE) or Path(point).is_relative_to(RUN)]
