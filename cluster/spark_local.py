"""`make spark-local`: the engine Spark on this machine, over the real bars that ship with the product.

It makes a lake of the packaged symbols (unless another one is named), runs the job of the cluster on it, and
the engine Local on a copy, and says whether both gave the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from cluster import environment, prerequisites, side_environments
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.testing import SERVER_PACKAGES

PIPELINE = {
    "namespace": "default",
    "name": "spark-local",
    "spec": {
        "universe": {"symbols": ["AAPL", "FB", "GOOG", "IBM", "MSFT"]},
        "sources": [{"name": "replay", "replay": {"start": "2012-01-03"}}],
        "kafka": {"bootstrapServers": "localhost:9092"},
        "redis": {"url": "redis://localhost:6379/0"},
    },
}
_SESSION = "2013-02-28"


def spark_local(settings: Settings, progress: Progress) -> int:
    """Run it; return 0 where both engines agree."""
    prerequisites.install(SERVER_PACKAGES, progress)
    environment.ensure(settings, progress)
    python = side_environments.ensure(settings, side_environments.SPARK, progress)
    build = settings.repo / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix="spark-local-") as name:
        folder = Path(name)
        config = folder / "pipeline.json"
        config.write_text(json.dumps(PIPELINE))
        lake, copy = folder / "lake", folder / "copy"
        for step in ("collect", "download", "merge"):
            words = ["--config", str(config), "--lake", str(lake), "--session", _SESSION]
            _batch(settings, step, *words)
        shutil.copytree(lake, copy)
        with progress.step("Spark on this machine"):
            compute(settings, python, config, lake)
        _batch(settings, "compute", "--config", str(config), "--lake", str(copy))
        found = _digests(lake)
        same = found == _digests(copy)
        print(f"{len(found)} parts: {'the same bytes' if same else 'DIFFERENT BYTES'} from both engines")
        return 0 if same else 1


def compute(settings: Settings, python: Path, config: Path, lake: Path, *words: str) -> dict[str, object]:
    """Run the job on this machine and return its report.

    Raises:
        RuntimeError: it failed; the message ends with what it said.
    """
    command = [
        str(python),
        "-m",
        "spark_jobs.compute_indicators",
        "--config",
        str(config),
        "--lake",
        str(lake),
    ]
    done = subprocess.run(
        [*command, *words],
        cwd=settings.repo,
        # Spark would take an address of the machine's network, and be in reach of it.
        env={**side_environments.tree_path(settings), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = f"{done.stderr[-2000:]}\n{done.stdout[-1000:]}"
        raise RuntimeError(f"the job on Spark ended with {done.returncode}:\n{said}")
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


def _batch(settings: Settings, step: str, *words: str) -> None:
    python = environment.python(settings)
    command = [str(python), "-m", "stockpipeline.cli", "batch", step, *words]
    subprocess.run(command, cwd=settings.repo, env=side_environments.tree_path(settings), check=True)


def _digests(lake: Path) -> dict[str, str]:
    parts = sorted((lake / "indicators").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in parts}
