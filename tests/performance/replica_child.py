"""A publisher or puller that stays: works for each line that it reads, and answers with its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from stockpipeline.store.object_store import open_store


def main(role: str, folder: Path) -> None:
    """Run as a program: `python -m tests.performance.replica_child publish|pull|pull-20 FOLDER`."""
    store = open_store(str(folder / "store"))
    work: Callable[[], msgspec.Struct]
    if role == "publish":
        from stockpipeline.store.publish import Publisher

        work = Publisher(store, folder / "master.duckdb", writer="bench").publish
    else:
        from stockpipeline.store.pull import Puller

        more = role.removeprefix("pull").removeprefix("-") or "1"
        pullers = [Puller(store, folder / f"replica-{number}") for number in range(1, int(more))]
        pullers.append(Puller(store, folder / "replica"))

        def work() -> msgspec.Struct:
            return [puller.pull() for puller in pullers][-1]

    for _ in sys.stdin:
        print(msgspec.json.encode(work()).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
