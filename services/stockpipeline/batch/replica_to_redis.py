"""From a replica of the store to Redis."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.batch.histories import histories, newest_session
from stockpipeline.batch.redis_sync import Synced, sync
from stockpipeline.market.sessions import session_iso
from stockpipeline.store import open_replica

if TYPE_CHECKING:
    import pyarrow as pa

    from stockpipeline.api import PipelineConfig


@dataclass(frozen=True)
class SyncedTo:
    """A sync of Redis, and the state of the store that it brought there."""

    session: str
    generation: int
    redis: Synced


class EmptyStore(Exception):
    """The store has no bars."""


def sync_replica(
    config: "PipelineConfig",
    replica: Path,
    *,
    session: int | None = None,
    validate: bool = False,
    force_full: bool = False,
) -> SyncedTo:
    """Bring Redis to a replica's state of a session, by default its newest one.

    It has the histories of the symbols that the pipeline names, or of all that it collects.

    Raises:
        StoreError: the replica cannot be read.
        EmptyStore: it has no bars.
        EmptyHistory, HistoryUnavailable: see ``sync``.
    """
    with closing(open_replica(replica)) as opened, opened.read() as snapshot:

        def query(sql: str, parameters: Sequence[Any]) -> "pa.Table":
            return snapshot.execute(sql, parameters).to_arrow_table()

        newest = newest_session(query)
        if newest is None:
            raise EmptyStore(f"the store in {replica} has no bars; load it first")
        wanted = newest if session is None else session
        found = histories(query, wanted)
        generation = snapshot.generation
    universe = config.spec.universe
    if universe.collect is None:
        found = {symbol: found[symbol] for symbol in universe.symbols if symbol in found}
    with closing(HistoryStore(config.redis_url, config.names)) as store:
        done = sync(store, found, validate=validate, force_full=force_full)
    return SyncedTo(session_iso(wanted), generation, done)
