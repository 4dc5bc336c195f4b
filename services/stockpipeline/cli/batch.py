"""`stockpipeline batch …`: steps of the nightly batch, each of which can run twice or after a kill."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from stockpipeline.api import PipelineConfig


def add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Add `batch` to the command line; return the parsers of its commands `compute` and `sync`."""
    batch = commands.add_parser("batch", help="Steps of the nightly batch.")
    of_batch = batch.add_subparsers(metavar="COMMAND", required=True)

    compute = of_batch.add_parser(
        "compute", help="Compute the pipeline's indicators for all bars of a lake that have changed."
    )
    compute.add_argument("--lake", type=Path, required=True, metavar="DIR", help="the folder with its parts")
    compute.add_argument("--anew", action="store_true", help="also for bars that have not changed")

    sync = of_batch.add_parser("sync", help="Bring the history in Redis to the state of the store.")
    sync.add_argument("--replica", type=Path, required=True, metavar="DIR", help="a replica of the store")
    sync.add_argument(
        "--session",
        type=date.fromisoformat,
        metavar="DATE",
        help="up to this one (default: the newest in the store)",
    )
    how = sync.add_mutually_exclusive_group()
    how.add_argument("--validate", action="store_true", help="read everything back, mend what differs")
    how.add_argument("--force-full", action="store_true", help="write everything anew")
    return compute, sync


def run_compute(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    """Bring the indicators of a lake to its bars."""
    from stockpipeline.batch.compute import compute_all
    from stockpipeline.batch.lake import BrokenPart, Lake

    if not (arguments.lake / "bars").is_dir():
        return _failed("compute", f"{arguments.lake} is no lake: it has no folder bars")
    try:
        done = compute_all(Lake(arguments.lake), config.spec.indicators, anew=arguments.anew)
    except BrokenPart as error:
        return _failed("compute", error)
    print(f"{done.parts} parts computed ({done.rows} rows), {done.unchanged} had not changed")
    return 0


def run_sync(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    """Bring Redis to the store; of the symbols that the pipeline names, or of all that it collects."""
    from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
    from stockpipeline.batch.histories import histories, newest_session
    from stockpipeline.batch.redis_sync import EmptyHistory, sync
    from stockpipeline.market.sessions import session_from_date, session_iso
    from stockpipeline.store import open_replica
    from stockpipeline.store.errors import StoreError

    try:
        with closing(open_replica(arguments.replica)) as replica, replica.read() as snapshot:

            def query(sql: str, parameters: Sequence[Any]) -> "pa.Table":
                return snapshot.execute(sql, parameters).to_arrow_table()

            newest = newest_session(query)
            if newest is None:
                return _failed("sync", f"the store in {arguments.replica} has no bars; load it first")
            session = newest if arguments.session is None else session_from_date(arguments.session)
            found = histories(query, session)
            generation = snapshot.generation
        universe = config.spec.universe
        if universe.collect is None:
            found = {symbol: found[symbol] for symbol in universe.symbols if symbol in found}
        with closing(HistoryStore(config.redis_url, config.names)) as store:
            done = sync(store, found, validate=arguments.validate, force_full=arguments.force_full)
    except (StoreError, HistoryUnavailable, EmptyHistory) as error:
        return _failed("sync", error)
    print(
        f"{done.written} of {done.symbols} symbols written, {done.removed} removed, {done.leaving} leaving: "
        f"{session_iso(session)} of generation {generation} of the store is generation {done.generation} "
        "in Redis"
    )
    return 0


def _failed(command: str, why: object) -> int:
    print(f"stockpipeline batch {command}: {why}", file=sys.stderr)
    return 1
