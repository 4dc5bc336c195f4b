"""A whole night in one process: to try it out, to back-fill, and where nothing orchestrates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockpipeline.batch.compute import compute_all
from stockpipeline.batch.replica_to_redis import sync_replica
from stockpipeline.batch.steps import Night, collect, download_batch, gate, load, merge_downloads, scan
from stockpipeline.runtime.settings import instance_name
from stockpipeline.sources.nasdaq import ListingPlaces
from stockpipeline.store.object_store import open_store
from stockpipeline.store.publish import Publisher
from stockpipeline.store.pull import Puller
from stockpipeline.store.writer import Writer


@dataclass(frozen=True)
class Targets:
    """Where the results of a night go."""

    master: Path
    store: str
    """URL of the object store that the master is published to."""
    replica: Path


def run_night(
    night: Night, places: ListingPlaces, targets: Targets, *, accept_fewer: bool = False
) -> Iterator[tuple[str, Any]]:
    """Run all steps, and yield each one's name and its report; what a step raises ends the night."""
    yield "collect", collect(night, places, accept_fewer=accept_fewer)
    yield "download", download_batch(night)
    yield "gate", gate(night)
    yield "merge", merge_downloads(night)
    yield "compute", compute_all(night.lake, night.indicators)
    yield "scan", scan(night)
    with Writer(targets.master) as writer:
        loaded = load(night, writer)
    yield "load", loaded
    objects = open_store(targets.store)
    yield "publish", Publisher(objects, targets.master, writer=instance_name()).publish()
    yield "pull", Puller(objects, targets.replica).pull()
    yield "sync", sync_replica(night.config, targets.replica)
