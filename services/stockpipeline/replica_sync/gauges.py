"""What a replica tells of itself when it is asked, from its folder alone."""

import json
import shutil
import time
import urllib.request

from stockpipeline.runtime.store_metrics import ReplicaMetrics
from stockpipeline.store.replica_folder import ReplicaFolder
from stockpipeline.store.scrub import last_scrub

_TIMEOUT_SECONDS = 1.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def show(folder: ReplicaFolder, metrics: ReplicaMetrics, sql_address: str | None) -> None:
    """Set the gauges; what is not known stays away."""
    now = time.time()
    status, current, scrubbed = folder.status(), folder.current(), last_scrub(folder)
    if folder.path.exists():
        metrics.show("free_bytes", shutil.disk_usage(folder.path).free)
    if current is not None:
        generation = current.manifest.generation
        metrics.show("generation", generation)
        metrics.show("size_bytes", current.manifest.size)
        metrics.show("lag_generations", max(0, status.head_generation - generation))
    if status.fresh_ms:
        metrics.show("lag_seconds", max(0.0, now - status.fresh_ms / 1000))
    if scrubbed is not None:
        metrics.show("scrub_age_seconds", max(0.0, now - scrubbed.finished_ms / 1000))
    if sql_address is not None and (read := _reader_generation(sql_address)) is not None:
        metrics.show("reader_generation", read)


def _reader_generation(address: str) -> int | None:
    """Ask the SQL endpoint, a process of its own, which generation it reads."""
    try:
        with _DIRECT.open(f"http://{address}/readyz", timeout=_TIMEOUT_SECONDS) as response:
            return int(json.load(response)["generation"])
    except (OSError, ValueError, KeyError):
        return None
