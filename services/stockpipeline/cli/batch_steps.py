"""What the commands of `stockpipeline batch` do: one function for each, which returns what is told of it."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stockpipeline.adapters.history_redis import HistoryUnavailable
from stockpipeline.adapters.kubernetes_api import KubernetesRefused, NoCluster
from stockpipeline.api import PipelineConfig
from stockpipeline.batch import steps
from stockpipeline.batch.daily_sources import NoDailySource
from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.night import Targets, run_night
from stockpipeline.batch.night_folder import StepMissing
from stockpipeline.batch.outcomes import CoverageTooLow, Outcome
from stockpipeline.batch.redis_sync import EmptyHistory
from stockpipeline.batch.replica_to_redis import EmptyStore, sync_replica
from stockpipeline.batch.spark_job import TooSmall
from stockpipeline.batch.spark_run import NoSparkAccount, SparkFailed
from stockpipeline.cli.batch_compute import NoSparkPods, compute
from stockpipeline.market.calendar import SessionCalendar, UnknownSession
from stockpipeline.market.listing import BadListing, ShrunkenListing
from stockpipeline.market.sessions import session_date, session_from_date, session_iso
from stockpipeline.runtime.logs import configure
from stockpipeline.sources.nasdaq import ListingPlaces
from stockpipeline.store.deliveries import Deliveries
from stockpipeline.store.errors import StoreError
from stockpipeline.store.object_store import open_store
from stockpipeline.store.places import generations_url
from stockpipeline.store.writer import Writer

EXPECTED = (
    BadListing,
    BrokenPart,
    CoverageTooLow,
    EmptyHistory,
    EmptyStore,
    HistoryUnavailable,
    KubernetesRefused,
    NoCluster,
    NoDailySource,
    NoSparkAccount,
    NoSparkPods,
    OSError,
    ShrunkenListing,
    SparkFailed,
    StepMissing,
    StoreError,
    TooSmall,
    UnknownSession,
)
"""Why a step cannot be done; anything else is a mistake in the program, and shows its stack."""


class NotSettled(Exception):
    """Some downloads failed; another run asks for them again."""


class SourceRefuses(NotSettled):
    """Some downloads were refused: the source wants to be left alone for a while."""


def run(name: str, config: PipelineConfig, arguments: argparse.Namespace) -> int:
    """Run a command and say what it did; return the exit status."""
    configure(sys.stderr, component="batch", pipeline=config.name)  # standard output is for reports
    try:
        for step, report in _COMMANDS[name](config, arguments):
            _say(step, report, as_json=arguments.json)
    except (*EXPECTED, NotSettled) as error:
        if arguments.json:
            print(json.dumps({"ok": False, "error": type(error).__name__, "message": str(error)}), flush=True)
        print(f"stockpipeline batch {name}: {error}", file=sys.stderr)
        return 1
    return 0


Told = Iterator[tuple[str, Any]]
"""Names of steps and their reports."""


def _collect(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    night = _night(config, arguments)
    yield "collect", steps.collect(night, _places(arguments), accept_fewer=arguments.accept_fewer)


def _download(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    report = steps.download_batch(
        _night(config, arguments), arguments.batch, arguments.batches, wait_seconds=arguments.wait
    )
    if not report.settled:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items())
        refused = report.outcomes.get(str(Outcome.RATE_LIMITED))
        error = SourceRefuses if refused else NotSettled
        raise error(f"of {report.symbols} symbols: {outcomes}; run it again to ask for these once more")
    yield "download", report


def _gate(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    yield "gate", steps.gate(_night(config, arguments))


def _merge(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    yield "merge", steps.merge_downloads(_night(config, arguments))


def _compute(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    yield "compute", compute(config, arguments, _night(config, arguments).session)


def _scan(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    yield "scan", steps.scan(_night(config, arguments), arguments.limit)


def _load(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    night = _night(config, arguments)
    if arguments.deliver:
        deliveries = Deliveries(open_store(arguments.store or generations_url(config)))
        yield "load", steps.load_by_delivery(night, deliveries, arguments.timeout)
    else:
        with Writer(arguments.master) as writer:
            report = steps.load(night, writer)
        yield "load", report


def _sync(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    session = None if arguments.session is None else session_from_date(arguments.session)
    yield (
        "sync",
        sync_replica(
            config,
            arguments.replica,
            session=session,
            validate=arguments.validate,
            force_full=arguments.force_full,
        ),
    )


def _nights(config: PipelineConfig, arguments: argparse.Namespace) -> Told:
    first = _night(config, arguments)
    sessions = [first.session]
    if arguments.until is not None:
        calendar = SessionCalendar(config.spec.universe.exchange)
        sessions = calendar.sessions_between(session_date(first.session), arguments.until)
    targets = Targets(arguments.master, arguments.store, arguments.replica)
    for session in sessions:
        night = dataclasses.replace(first, session=session)
        for step, report in run_night(
            night, _places(arguments), targets, accept_fewer=arguments.accept_fewer
        ):
            yield f"{session_iso(session)} {step}", report


_COMMANDS: dict[str, Callable[[PipelineConfig, argparse.Namespace], Told]] = {
    "collect": _collect,
    "download": _download,
    "gate": _gate,
    "merge": _merge,
    "compute": _compute,
    "scan": _scan,
    "load": _load,
    "sync": _sync,
    "night": _nights,
}


def _night(config: PipelineConfig, arguments: argparse.Namespace) -> steps.Night:
    calendar = SessionCalendar(config.spec.universe.exchange)
    if arguments.session is None:
        session = calendar.last_closed(int(time.time() * 1000))
    else:
        session = session_from_date(arguments.session)
        calendar.open_close_ms(session)
    return steps.Night(config, arguments.lake, session)


def _places(arguments: argparse.Namespace) -> ListingPlaces:
    return ListingPlaces(arguments.listed, arguments.screener)


def _say(step: str, report: Any, *, as_json: bool) -> None:
    fields = msgspec.to_builtins(report)
    if as_json:
        print(json.dumps({"ok": True, "step": step, **fields}), flush=True)
    else:
        print(f"{step}: {_text(fields)}", flush=True)


def _text(fields: dict[str, Any]) -> str:
    """Return the figures of a report: `symbols 4000, outcomes ok 3990 error 10, gone 0`."""
    told = []
    for name, value in fields.items():
        if isinstance(value, dict):
            value = " ".join(f"{key} {one}" for key, one in value.items()) or "none"
        told.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(told)
