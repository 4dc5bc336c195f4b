"""The history of a master: one row for each committed transaction of its writer."""

import duckdb

from stockpipeline.store.manifest import Commit


def last_commit(connection: duckdb.DuckDBPyConnection) -> Commit | None:
    """Return the newest commit of an open master."""
    row = connection.execute(
        "SELECT number, id, batch, epoch_ms(committed_at) FROM meta.commits ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return Commit(*row) if row is not None else None
