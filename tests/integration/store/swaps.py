"""Swapping generations under readers that never stop, and counting whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stockpipeline.store import open_replica
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.manifest import log_key
from stockpipeline.store.publish import Publisher
from stockpipeline.store.pull import Puller
from tests.integration.store.masters import SUMS_QUERY, Sums, commit_day

_GENERATIONS = 20


@dataclass
class Hammered:
    """What the readers saw; `stale` reads began after a swap and saw what was before it."""

    swaps: int = 0
    queries: int = 0
    torn: int = 0
    stale: int = 0
    errors: list[str] = field(default_factory=list)
    generations_seen: set[int] = field(default_factory=set)


def hammer(
    folder: Path, *, swaps: int, threads: int, on_swap: Callable[[int], None] = lambda _: None
) -> Hammered:
    """Swap so many times under so many reader threads, which have made more queries each time.

    The generations are made before; a swap reveals the next entry of the log and pulls it. After the last one
    the store begins anew with another replica's folder, so that generations only ever go up for a reader.
    """
    history = FileStore(folder / "history")
    sums: dict[int, Sums] = {}
    entries: list[bytes] = []
    for day in range(1, _GENERATIONS + 1):
        total = commit_day(folder / "master.duckdb", day)
        generation = Publisher(history, folder / "master.duckdb", writer="swaps").publish().generation
        sums[generation] = total
        entries.append(history.get(log_key(generation)))
    result = Hammered()
    while result.swaps < swaps:
        store = FileStore(folder / "history")
        store.delete([found.key for found in store.list("log/")])
        store.put(log_key(1), entries[0])
        replica_folder = folder / f"replica-{result.swaps}"
        puller = Puller(store, replica_folder)
        puller.pull()
        _one_round(
            result,
            store,
            puller,
            entries,
            sums,
            min(swaps, result.swaps + _GENERATIONS - 1),
            threads,
            on_swap,
        )
    return result


def _one_round(
    result: Hammered,
    store: FileStore,
    puller: Puller,
    entries: list[bytes],
    sums: dict[int, Sums],
    until: int,
    threads: int,
    on_swap: Callable[[int], None],
) -> None:
    replica = open_replica(puller.folder.path)
    swapped_to = 1
    stop = threading.Event()
    changed = threading.Condition()

    def read() -> None:
        torn = stale = 0
        seen: set[int] = set()
        while not stop.is_set():
            at_least = swapped_to
            try:
                with replica.read(max_lag=600) as snapshot:
                    (found,) = snapshot.execute(SUMS_QUERY).fetchall()
            except Exception as error:
                with changed:
                    result.errors.append(f"{type(error).__name__}: {error}")
                    changed.notify()
                continue
            with changed:
                result.queries += 1
                changed.notify()
            torn += found != sums[snapshot.generation]
            stale += snapshot.generation < at_least
            seen.add(snapshot.generation)
        with changed:
            result.torn += torn
            result.stale += stale
            result.generations_seen |= seen

    readers = [threading.Thread(target=read) for _ in range(threads)]
    for reader in readers:
        reader.start()
    try:
        for number, entry in enumerate(entries[1:], start=2):
            if result.swaps == until:
                break
            store.put(log_key(number), entry)
            swapped_to = puller.pull().generation
            result.swaps += 1
            on_swap(result.swaps)
            # Where a query takes longer than a swap, on a busy machine, the next swap waits.
            with changed:
                changed.wait_for(lambda: result.queries > result.swaps or result.errors, timeout=60)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
        replica.close()
