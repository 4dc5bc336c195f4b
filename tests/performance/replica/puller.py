"""A puller that stays: pulls for each line that it reads, and answers with its report."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from stockpipeline.store.object_store import open_store
from stockpipeline.store.pull import Puller


def main(store: str, *folders: str) -> None:
    """Run as a program: `python -m tests.performance.replica.puller STORE FOLDER…`; one after the other."""
    pullers = [Puller(open_store(store), Path(folder)) for folder in folders]
    for _ in sys.stdin:
        reports = [puller.pull() for puller in pullers]
        print(msgspec.json.encode(reports[-1]).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
