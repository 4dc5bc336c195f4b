"""What a detector of 4,000 symbols needs: time until it is ready, and memory then."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cluster.progress import Progress
from tests.integration.services.support import service
from tests.performance.detector import workload
from tests.performance.detector.servers import ContenderFailed, Servers
from tests.performance.detector.throughput import AT_LEAST_ONCE, PARTITIONS

_KIB_PER_MIB = 1024


def start_up(servers: Servers, symbols: int, progress: Progress) -> tuple[float, float]:
    """Return seconds from the start of a process with its history in Redis until ready, and its MiB then.

    Raises:
        ContenderFailed: it does not get ready.
    """
    config = workload.pipeline(
        f"start-{symbols}", servers.kafka, servers.redis, symbols, PARTITIONS, **AT_LEAST_ONCE
    )
    servers.create(config)
    directory = servers.folder / f"start-{symbols}"
    directory.mkdir()
    environment = {"STOCKPIPELINE_LOG_LEVEL": "warning", **_compiled(servers.folder / "compiled")}
    detector = service("detector", config, directory, environment)
    with progress.step(f"A detector of {symbols:,} symbols gets ready"):
        began = time.monotonic()
        detector.process.start()
        try:
            while not _ready(detector.address):
                if time.monotonic() > began + 300:
                    raise ContenderFailed(f"not ready: {detector.checks()}")
                time.sleep(0.02)
            took = time.monotonic() - began
            memory = _rss_mib(detector.process.pid)
        finally:
            detector.process.kill()
    return took, memory


def _compiled(folder: Path) -> dict[str, str]:
    """Return the environment in which all modules are compiled, as they are in the image."""
    variables = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}
    modules = "import stockpipeline.cli, stockpipeline.detector.main"
    subprocess.run([sys.executable, "-c", modules], env={**os.environ, **variables}, check=True)
    return variables


def _ready(address: str) -> bool:
    try:
        with urlopen(f"http://{address}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KIB_PER_MIB
    raise ContenderFailed(f"process {pid} has no VmRSS")
