"""Scrubbing: damage in blocks that no query reads is found by reading all of them, now and then.

DuckDB checks a block when it reads it; a flipped bit in last year's bars is not noticed until someone asks
for them. A damaged file is not mended in place, as readers may have it open: it is built anew beside the
old one.
"""

import time
from collections.abc import Callable

import msgspec

from stockpipeline.store.files import replace_file
from stockpipeline.store.pull import Puller
from stockpipeline.store.replica_folder import ReplicaFolder, Stored
from stockpipeline.store.verify import verify_stored


class ScrubReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, what was wrong, and what was built anew; `repaired` counts files."""

    generations: list[int]
    blocks: int
    problems: list[str]
    repaired: int
    finished_ms: int

    @property
    def good(self) -> bool:
        """Whether no damage is left."""
        return len(self.problems) == self.repaired


def scrub_replica(
    folder: ReplicaFolder, puller: Puller | None, *, now: Callable[[], float] = time.time
) -> ScrubReport:
    """Read all files of a replica; build the current one anew if it is damaged, and drop others that are.

    Without a puller nothing is changed.

    Raises:
        ReplicaBusy: a pull is under way.
        StoreError: the current file is damaged, and could not be had from the object store.
    """
    problems: list[str] = []
    numbers: list[int] = []
    blocks = repaired = 0
    with folder.lock():
        for stored in folder.stored():
            report = verify_stored([stored])
            numbers += report.generations
            blocks += report.blocks
            if report.problems:
                problems += report.problems
                if puller is not None:
                    _repair(folder, puller, stored)
                    repaired += 1
        result = ScrubReport(
            generations=numbers,
            blocks=blocks,
            problems=problems,
            repaired=repaired,
            finished_ms=round(now() * 1000),
        )
        replace_file(folder.path / "scrub.json", msgspec.json.encode(result))
    return result


def last_scrub(folder: ReplicaFolder) -> ScrubReport | None:
    """Return the report of the last scrub, None if there was none."""
    try:
        return msgspec.json.decode((folder.path / "scrub.json").read_bytes(), type=ScrubReport)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _repair(folder: ReplicaFolder, puller: Puller, damaged: Stored) -> None:
    current, previous = folder.current(), folder.previous()
    if current is not None and current.name == damaged.name:
        index = puller.index(damaged)
        puller.build(damaged.manifest, index)
        folder.install(damaged.description, index, previous=previous)
    folder.discard(damaged)
