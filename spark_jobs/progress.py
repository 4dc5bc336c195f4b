"""Says on standard output how far a computation on Spark is, as JSON lines for who follows its log."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import StatusTracker

_SECONDS = 1.0


@contextmanager
def telling_progress(tracker: StatusTracker) -> Iterator[None]:
    """Print `{"progress": {"done": 3, "of": 16}}` whenever a task has ended, until the block is left."""
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(tracker, over), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(tracker: StatusTracker, over: threading.Event) -> None:
    told = None
    while not over.wait(_SECONDS):
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        found = [(stage.numCompletedTasks, stage.numTasks) for stage in stages if stage is not None]
        if found and found[0] != told:
            told = found[0]
            print(json.dumps({"progress": {"done": told[0], "of": told[1]}}), flush=True)
