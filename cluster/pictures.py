"""`make pictures`: the dashboards over the running cluster's Prometheus, as pictures for the docs.

There is no Grafana server on the way: a page draws the same JSON with Grafana's own open components
(`observability/render`), and a browser without a window looks at it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from cluster import prerequisites
from cluster.artifacts import cached, digest_of
from cluster.observe import by_pipeline
from cluster.progress import Progress
from cluster.settings import Settings, number
from cluster.shell import run
from cluster.up import cluster_of

# Debian's names of the programs; a Node.js from elsewhere brings its own npm, which conflicts with Debian's.
PROGRAMS = {"chromium": "chromium", "node": "nodejs", "npm": "npm"}
_MOST_MINUTES = 24 * 60
_STORED = "max by (namespace, pipeline) (stockpipeline_replica_generation)"
_SOURCES = ("package.json", "package-lock.json", ".npmrc", "shoot.mjs", "src")


def pictures(settings: Settings, progress: Progress) -> int:
    """Write docs/pictures/NAME.png for each dashboard, of the last MINUTES (environment); return 0.

    Panels without data are named, and are no failure: a healthy pipeline has no dead letters. After a failure
    the docs keep what they had, and build/pictures has what could be drawn.

    Raises:
        SettingsError: MINUTES is no number of minutes.
        RuntimeError: there is no Prometheus to ask, a query failed, or the page had an error.
    """
    minutes = number(os.environ, "MINUTES", "15", "minutes", 1, _MOST_MINUTES)
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}"
    _check(prometheus)
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    prerequisites.install(missing, progress)
    renderer = _renderer(settings, progress)
    folder = settings.repo / "build" / "pictures"
    command = [
        "node",
        "shoot.mjs",
        prometheus,
        str(settings.repo / "dashboards"),
        str(folder),
        f"{minutes:g}",
    ]
    with (
        progress.step("Draw the dashboards"),
        _replica(settings, prometheus) as replica,
        subprocess.Popen([*command, *replica], cwd=renderer, stdout=subprocess.PIPE, text=True) as shooting,
    ):
        assert shooting.stdout is not None
        for line in shooting.stdout:
            progress.note(described(json.loads(line)))
        if shooting.wait() != 0:
            raise RuntimeError(f"there were failures; the pictures in {folder} show what could be drawn")
    shutil.copytree(folder, settings.repo / "docs" / "pictures", dirs_exist_ok=True)
    return 0


@contextmanager
def _replica(settings: Settings, prometheus: str) -> Iterator[list[str]]:
    """Lead a port of loopback to the replicas with most generations; yield its URL, nothing without any."""
    counted = by_pipeline(prometheus, _STORED)
    if not counted:
        yield []
        return
    namespace, name = max(counted, key=lambda key: counted[key])
    cluster = cluster_of(settings)
    command = [
        str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig),
        "port-forward", f"service/{name}-replica", ":sql", "--namespace", namespace,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            # Forwarding from 127.0.0.1:PORT -> 8081
            said = forwarding.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", said)
            if found is None:
                raise RuntimeError(f"no way to the replicas of {namespace}/{name}: {said}")
            yield [f"http://127.0.0.1:{found[1]}"]
        finally:
            forwarding.terminate()


def _check(prometheus: str) -> None:
    try:
        with urlopen(f"{prometheus}/-/ready", timeout=10):  # noqa: S310 - a URL of ours
            pass
    except OSError as error:
        raise RuntimeError(f"no Prometheus answers at {prometheus} ({error}): run `make up` first") from None


def described(found: dict[str, object]) -> str:
    """What a line of the renderer says, for people."""
    empty, errors = found["empty"], found["errors"]
    assert isinstance(empty, list)
    assert isinstance(errors, list)
    text = f"{found['dashboard']}: {found['panels']} panels"
    if empty:
        text += f", without data: {', '.join(empty)}"
    return "\n  ".join([text, *(f"FAILED: {error}" for error in errors)])


def _renderer(settings: Settings, progress: Progress) -> Path:
    """Return the folder with the renderer and its libraries, made once."""
    source = settings.repo / "observability" / "render"
    sources = [source / name for name in _SOURCES]

    def build(folder: Path) -> None:
        folder.mkdir()
        for path in sources:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, folder / path.name)
        with progress.step("Fetch Grafana's components (600 MB), and bundle the page"):
            run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
            run(["npm", "run", "--silent", "build"], cwd=folder)

    return cached(settings.cache, "render", digest_of(sources), build)
