"""One change of a cluster at a time, across processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold the lock file `path` while the block runs; the file is gone afterwards.

    Prints `waiting` once if another process holds it.

    The kernel lets go of it when its holder dies, so nothing ever has to be cleaned up by hand.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    print(waiting, flush=True)
                waiting = ""
                fcntl.flock(file, fcntl.LOCK_EX)
            # Its last holder removed it while we waited: what we hold is not what the next one would open.
            if not path.exists() or os.fstat(file.fileno()).st_ino != path.stat().st_ino:
                continue
            try:
                yield
            finally:
                path.unlink()
                with suppress(OSError):  # others' files are in it
                    path.parent.rmdir()
            return
