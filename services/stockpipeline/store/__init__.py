"""The DuckDB store: one master with one writer, and any number of verified copies that everyone can read.

`writer` loads the master; `publish` makes its commits generations in an object store; `pull` keeps a folder
at the newest one; `reader` reads such a folder; `restore` gets any kept generation back. docs/store.md says
why it is so.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stockpipeline.store.reader import Replica

__all__ = ["open_replica"]


def open_replica(
    folder: str | os.PathLike[str], *, config: Mapping[str, str | bool | int] | None = None
) -> "Replica":
    """Return a reader of the replica in a folder (see `reader`); `config` are settings of DuckDB.

    The folder need not have a generation yet: reading raises NoReplica until it has.
    """
    from stockpipeline.store.reader import Replica

    return Replica(Path(folder), config=config)
