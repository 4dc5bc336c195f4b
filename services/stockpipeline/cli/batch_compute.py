"""`stockpipeline batch compute`: the indicators, by this process or by Spark's pods.

Apart from the other steps, because it is over before what they need would be loaded.
"""

import argparse
import os
from functools import partial
from pathlib import PurePosixPath

import structlog

from stockpipeline.adapters.kubernetes_api import Access, KubernetesApi, KubernetesRefused, NoCluster
from stockpipeline.api import Batch, Engine, Indicator, PipelineConfig
from stockpipeline.batch.compute import Computed, compute_all, pending
from stockpipeline.batch.engines import choose
from stockpipeline.batch.lake import PARTS, BrokenPart, Lake
from stockpipeline.batch.night_folder import StepMissing
from stockpipeline.batch.spark_job import TooSmall
from stockpipeline.batch.spark_request import SparkRequest, SparkVolume
from stockpipeline.batch.spark_run import NoSparkAccount, SparkFailed, SparkRun, run_on_spark
from stockpipeline.batch.watchlist import batch_indicators
from stockpipeline.cli.batch_report import Told, session_of, tell
from stockpipeline.market.calendar import UnknownSession

_log = structlog.get_logger()
_ROUNDS = 3
"""How often bars may change while they are computed."""


class NoSparkPods(Exception):
    """Spark is asked for, and what its pods need is not told; the message names the options."""


EXPECTED = (
    BrokenPart,
    KubernetesRefused,
    NoCluster,
    NoSparkAccount,
    NoSparkPods,
    OSError,
    SparkFailed,
    StepMissing,
    TooSmall,
    UnknownSession,
)
"""Why it cannot be done."""


def run(config: PipelineConfig, arguments: argparse.Namespace) -> int:
    """Run the command and say what it did; return the exit status."""
    return tell("compute", config, arguments, _told, EXPECTED)


def _told(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    yield "compute", compute(config, arguments, session_of(config, arguments))


def compute(config: PipelineConfig, arguments: argparse.Namespace, session: int) -> Computed | SparkRun:
    """Bring the lake's indicators to its bars, and return what was done.

    Without the lake in sight, Spark can still be asked for: its pods have it.

    Raises:
        StepMissing: the folder is no lake.
        NoSparkPods, NoCluster, NoSparkAccount, TooSmall, SparkFailed: Spark cannot do it.
        BrokenPart: a part is broken; the others are done.
    """
    lake = Lake(arguments.lake)
    indicators = batch_indicators(config.spec.indicators)
    terms = config.spec.batch or Batch()
    wanted = terms.engine if arguments.engine is None else Engine(arguments.engine.capitalize())
    in_sight = (lake.folder / "bars").is_dir()
    told = arguments.spark_image is not None and arguments.spark_volume is not None
    if wanted is Engine.SPARK and not told:
        raise NoSparkPods("name the image and the volume of Spark's pods: --spark-image, --spark-volume")
    if not in_sight and wanted is not Engine.SPARK:
        raise StepMissing(f"{lake.folder} is no lake: it has no folder bars")
    if wanted is Engine.LOCAL or not told:
        return compute_all(lake, indicators, anew=arguments.anew)
    found = pending(lake, indicators, anew=arguments.anew) if in_sight else None
    if found is not None:
        if not found.parts:
            return Computed(0, PARTS, 0)
        executor = terms.spark.executor
        choice = choose(wanted, found.rows, len(os.sched_getaffinity(0)), executor.cores * executor.instances)
        _log.info("engine", engine=choice.engine.value, reason=choice.reason)
        if choice.engine is Engine.LOCAL:
            return compute_all(lake, indicators, anew=arguments.anew)
    make = partial(_request, config, arguments, session, indicators, terms)
    api = KubernetesApi(Access.found())
    for _ in range(_ROUNDS):
        done = run_on_spark(api, make(inputs="" if found is None else found.inputs), _tell)
        if not in_sight:
            return done
        found = pending(lake, indicators)
        if not found.parts:
            return done
    raise SparkFailed(f"the bars of {lake.folder} have changed {_ROUNDS} times while they were computed")


def _request(
    config: PipelineConfig,
    arguments: argparse.Namespace,
    session: int,
    indicators: tuple[Indicator, ...],
    terms: Batch,
    *,
    inputs: str,
) -> SparkRequest:
    try:
        return SparkRequest(
            namespace=config.namespace,
            pipeline=config.name,
            session=session,
            indicators=indicators,
            lake=PurePosixPath(arguments.lake if arguments.lake.is_absolute() else arguments.lake.resolve()),
            inputs=inputs,
            anew=arguments.anew,
            image=arguments.spark_image,
            volume=SparkVolume.parse(arguments.spark_volume),
            terms=terms,
            service_account=f"{config.name}-spark",
            deadline_seconds=arguments.timeout,
        )
    except ValueError as error:
        raise NoSparkPods(str(error)) from error


def _tell(text: str) -> None:
    _log.info("spark", state=text)
