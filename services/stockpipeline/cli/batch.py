"""`stockpipeline batch …`: the words of the command line; `batch_steps` and `batch_compute` do what they say.

Every step can run twice, or again after a kill. It ends with status 0 only if what it says is true, 1 if it
could not do it, with the reason on standard error and, with --json, as an object on standard output.
"""

import argparse
import os
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from stockpipeline.api import PipelineConfig

Run = Callable[["PipelineConfig", argparse.Namespace], int]


def add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> dict[argparse.ArgumentParser, Run]:
    """Add `batch` to the command line; return the parsers of its commands, and what they run."""
    batch = commands.add_parser("batch", help="The nightly batch, step by step or as a whole.")
    of_batch = batch.add_subparsers(metavar="COMMAND", required=True)
    runs: dict[argparse.ArgumentParser, Run] = {}

    def add(name: str, text: str, *, lake: bool = True, session: bool = True) -> argparse.ArgumentParser:
        parser = of_batch.add_parser(name, help=text, description=text)
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        if lake:
            parser.add_argument(
                "--lake",
                type=_lake,
                required=True,
                metavar="DIR",
                help="the batch's folder, or where it is in an object store: s3://BUCKET/PREFIX",
            )
            parser.add_argument(
                "--lake-cache",
                type=Path,
                metavar="DIR",
                help="where to bring that of an object store (default: a folder that goes at the end)",
            )
        if session:
            parser.add_argument(
                "--session",
                type=_session,
                metavar="DATE",
                help="of the exchange (default: the last that is over)",
            )
        runs[parser] = _run_compute if name == "compute" else partial(_run, name)
        return parser

    _add_listing(add("collect", "Write down which symbols the session's night is about."))
    download = add("download", "Download the bars that the symbols lack; go on where a killed run was.")
    download.add_argument(
        "--batch", type=int, default=0, metavar="I", help="only this one of the batches, from 0"
    )
    download.add_argument(
        "--batches", type=int, default=1, metavar="N", help="how many there are (default 1)"
    )
    download.add_argument(
        "--wait",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="after a first refusal or failure, doubled with each that follows (default 5)",
    )
    add("gate", "Fail unless enough symbols have a bar of the session.")
    add("merge", "Bring what was downloaded into the lake, and note what is wrong with it.")
    _add_compute(add("compute", "Compute the indicators of all bars of the lake that have changed."))
    _add_limit(add("scan", "Put what the rules find in the session on the watchlist."))
    load = add("load", "Bring the session's results and the lake's bars to the store.")
    to = load.add_mutually_exclusive_group(required=True)
    to.add_argument("--master", type=Path, metavar="FILE", help="the store's database, if no service has it")
    to.add_argument("--deliver", action="store_true", help="to the store's service, through its object store")
    load.add_argument(
        "--store", metavar="URL", help="of --deliver: the store's object store (default: the pipeline's)"
    )
    load.add_argument(
        "--timeout",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="of --deliver: how long the store may take until readers see it (default 900)",
    )

    sync = add("sync", "Bring the history in Redis to the state of the store.", lake=False, session=False)
    sync.add_argument("--replica", type=Path, required=True, metavar="DIR", help="a replica of the store")
    sync.add_argument(
        "--session", type=_session, metavar="DATE", help="up to this one (default: the newest in the store)"
    )
    how = sync.add_mutually_exclusive_group()
    how.add_argument("--validate", action="store_true", help="read everything back, mend what differs")
    how.add_argument("--force-full", action="store_true", help="write everything anew")

    night = add("night", "Run all steps of a session, or of all sessions of a range, in this process.")
    night.add_argument("--until", type=_session, metavar="DATE", help="the range's last session")
    _add_listing(night)
    night.add_argument("--master", type=Path, required=True, metavar="FILE", help="the store's database")
    night.add_argument(
        "--store", required=True, metavar="URL", help="where it is published: file:///path, s3://…"
    )
    night.add_argument("--replica", type=Path, required=True, metavar="DIR", help="a replica, for the sync")
    return runs


def _add_compute(compute: argparse.ArgumentParser) -> None:
    compute.add_argument("--anew", action="store_true", help="also of bars that have not changed")
    compute.add_argument(
        "--engine",
        choices=("auto", "local", "spark"),
        help="local: this process; spark: pods; auto: Spark where it pays (default: spec.batch.engine)",
    )
    compute.add_argument(
        "--spark-image",
        metavar="IMAGE",
        default=os.environ.get("STOCKPIPELINE_SPARK_IMAGE"),
        help="of the driver and the executors (default: $STOCKPIPELINE_SPARK_IMAGE)",
    )
    compute.add_argument(
        "--spark-volume",
        metavar="CLAIM:PATH",
        default=os.environ.get("STOCKPIPELINE_SPARK_VOLUME"),
        help="the claim that has the lake, and where pods see it (default: $STOCKPIPELINE_SPARK_VOLUME)",
    )
    compute.add_argument(
        "--timeout",
        type=int,
        default=3600,
        metavar="SECONDS",
        help="how long Spark's Job may take (default 3600)",
    )


def _add_listing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listed",
        metavar="URL",
        help="nasdaqlisted.txt, or its file (default: the pipeline's, else NASDAQ's)",
    )
    parser.add_argument(
        "--screener", metavar="URL", help="the screener, or a file of its answer (default likewise)"
    )
    parser.add_argument(
        "--accept-fewer", action="store_true", help="take a listing that has shrunk by too much for once"
    )


def _add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="most symbols on it (default 50)")


def _lake(text: str) -> Path | str:
    scheme = urlsplit(text).scheme
    if scheme in ("s3", "gs", "az"):
        return text
    if scheme:
        raise argparse.ArgumentTypeError(f"{text} is neither a folder nor in an object store (s3, gs, az)")
    return Path(text)


def _session(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date; write it as 2013-01-24") from None


def _run(name: str, config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.batch_steps import run

    return run(name, config, arguments)


def _run_compute(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.runtime.imports import without

    with without("pandas", "polars", "rich"):
        from stockpipeline.cli.batch_compute import run

        # Within, because Arrow looks for pandas when it makes its first array.
        return run(config, arguments)
