"""kind for the tests: on this machine's Docker engine, else on one of their own (see `engine`)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import imagebuild
from cluster.embedded.binaries import node_programs
from cluster.kind import KindCluster
from cluster.prerequisites import docker_answers
from cluster.progress import Progress
from cluster.settings import REPO, Settings
from cluster.shell import run
from tests.kind.engine import dockerd, kind_program, namespace, node_image

NAME = "stockpipeline-kind"


@dataclass(frozen=True)
class Machine:
    """A machine on which `make up CLUSTER=kind` works; the tests stand on it."""

    settings: Settings
    cluster: KindCluster

    def make(self, verb: str) -> str:
        """Run a verb of the Makefile for the tests' cluster; return what it printed (pytest shows it too)."""
        done = subprocess.run(
            [sys.executable, "-m", "cluster", verb],
            cwd=REPO,
            env={**os.environ, "CLUSTER": "kind", "CLUSTER_NAME": NAME},
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        print(done.stdout)
        assert done.returncode == 0, f"python3 -m cluster {verb}: exit code {done.returncode}"
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        cluster = self.cluster
        return run(
            [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *arguments], input=stdin, timeout=180
        ).stdout


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    settings = Settings.from_environment({**os.environ, "CLUSTER": "kind", "CLUSTER_NAME": NAME})
    # Now, because in the engine's network namespace nothing can be downloaded.
    progress = Progress()
    imagebuild.build_all(settings, progress)
    programs = tmp_path_factory.mktemp("programs")
    with pytest.MonkeyPatch.context() as environment, contextlib.ExitStack() as ends:
        environment.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        kind = kind_program.ensure(settings.cache)
        _offer(programs, kind.program)
        _offer(programs, node_programs(settings.cache) / "kubectl")
        if not docker_answers():
            ends.enter_context(_own_engine(settings.cache, kind, programs, environment, progress))
        machine = Machine(settings, KindCluster(settings))
        try:
            yield machine
        finally:
            machine.make("down")


@contextlib.contextmanager
def _own_engine(
    cache: Path,
    kind: kind_program.Kind,
    programs: Path,
    environment: pytest.MonkeyPatch,
    progress: Progress,
) -> Iterator[None]:
    """Run an engine with the own node image in it, and stand in its network namespace."""
    package = dockerd.unpacked(cache)
    with progress.step("Make a node image"):
        reference, archive = node_image.ensure(cache, kind)
    _offer(programs, package / "usr/bin/docker")
    environment.setenv("DOCKER_HOST", f"unix://{dockerd.SOCKET}")
    environment.setenv("NODE_IMAGE", reference)
    with dockerd.running(package), namespace.inside(dockerd.NAME):
        with progress.step("Load the node image into an engine of the tests' own"):
            run(["docker", "load", "--input", archive], timeout=300)
        yield


def _offer(programs: Path, program: Path) -> None:
    """Put a program first on the PATH."""
    (programs / program.name).symlink_to(program)
