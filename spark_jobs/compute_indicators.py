"""The engine Spark: brings the indicators of a lake to its bars, as `stockpipeline batch compute` does.

    python -m spark_jobs.compute_indicators --config pipeline.json --lake DIR [--anew] [--passes N]

Spark hands out the numbers of parts, and each is computed by the function that the engine Local runs: it
reads whole files and writes whole files. So there is no shuffle, an executor that dies costs the part it was
at, and bytes do not tell who made them. Of Spark it needs the scheduler alone: without its SQL, a driver and
its executors are up in half the time. All executors must see the lake at the same path. Master, sizes and
everything else come from spark-submit or SPARK_CONF_DIR; for pods, `stockpipeline.batch.spark_job` has them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import SparkConf, SparkContext

from spark_jobs.progress import telling_progress
from stockpipeline.api import Indicator
from stockpipeline.batch.compute import Computed, compute_file
from stockpipeline.batch.lake import PARTS, Lake
from stockpipeline.batch.spark_job import BROKEN_EXIT_CODE
from stockpipeline.batch.watchlist import batch_indicators
from stockpipeline.cli.config_file import load_config

_BROKEN = "stockpipeline.batch.lake.BrokenPart: "


class Broken(Exception):
    """The lake is not what it should be, and another run would find the same."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


def main() -> int:
    """Run as a program; the last line of standard output is a JSON object with what was done, or why not."""
    arguments = _parser().parse_args()
    try:
        report: dict[str, Any] = {"ok": True, "step": "compute", **_run(arguments)}
    except Broken as error:
        report = {"ok": False, "error": error.error, "message": str(error)}
    text = json.dumps(report)
    if arguments.report is not None:
        arguments.report.write_text(text)
    print(text, flush=True)
    return 0 if report["ok"] else BROKEN_EXIT_CODE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compute_indicators", description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--config", type=Path, metavar="FILE", help="pipeline.json: its indicators and the scan's"
    )
    what.add_argument("--indicators", metavar="JSON", help="exactly these")
    parser.add_argument("--lake", type=Path, required=True, metavar="DIR", help="the batch's folder")
    parser.add_argument("--anew", action="store_true", help="also of bars that have not changed")
    parser.add_argument(
        "--passes", type=int, default=1, metavar="N", help="do it so often, to measure it warm"
    )
    parser.add_argument("--events", type=Path, metavar="DIR", help="make this folder for Spark's event log")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the last line of output there too")
    return parser


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.config is not None:
        indicators = batch_indicators(load_config(arguments.config).spec.indicators)
    else:
        indicators = tuple(Indicator.model_validate(one) for one in json.loads(arguments.indicators))
    lake = Lake(arguments.lake)
    if not (lake.folder / "bars").is_dir():
        raise Broken("StepMissing", f"{lake.folder} is no lake: it has no folder bars")
    if arguments.events is not None:
        arguments.events.mkdir(parents=True, exist_ok=True)
    # The executors' Python is this one: on this machine the same file, in pods that of the same image.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    started = time.perf_counter()
    spark = SparkContext(conf=SparkConf().setAppName("compute-indicators"))
    up = time.perf_counter() - started
    try:
        seconds = []
        for _ in range(arguments.passes):
            started = time.perf_counter()
            with telling_progress(spark.statusTracker()):
                done = compute_on_spark(spark, lake, indicators, anew=arguments.anew)
            seconds.append(round(time.perf_counter() - started, 3))
    except Py4JJavaError as error:
        # Spark gives the executor's whole stack as text.
        for line in str(error).splitlines():
            if line.startswith(_BROKEN):
                raise Broken("BrokenPart", line.removeprefix(_BROKEN)) from error
        raise
    finally:
        spark.stop()
    return {
        "parts": done.parts,
        "unchanged": done.unchanged,
        "rows": done.rows,
        "context_seconds": round(up, 3),
        "pass_seconds": seconds,
    }


def compute_on_spark(
    spark: SparkContext, lake: Lake, indicators: Sequence[Indicator], *, anew: bool = False
) -> Computed:
    """Bring the indicators of all parts to their bars, a task for each part.

    Raises:
        py4j.protocol.Py4JJavaError: a part is broken; a line of its text has ``BrokenPart`` and the file.
    """
    parts = spark.parallelize(range(PARTS), PARTS)
    found = parts.map(lambda part: compute_file(lake, part, indicators, anew=anew)).collect()
    rows = [count for count in found if count is not None]
    return Computed(len(rows), len(found) - len(rows), sum(rows))


if __name__ == "__main__":
    sys.exit(main())
