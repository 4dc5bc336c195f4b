"""What the commands of `stockpipeline batch` do: one function for each, which returns what is told of it."""

import argparse
import dataclasses
from collections.abc import Callable

from stockpipeline.adapters.history_redis import HistoryUnavailable
from stockpipeline.api import PipelineConfig
from stockpipeline.batch import steps
from stockpipeline.batch.daily_sources import NoDailySource
from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.night import Targets, run_night
from stockpipeline.batch.night_folder import StepMissing
from stockpipeline.batch.outcomes import CoverageTooLow, Outcome
from stockpipeline.batch.redis_sync import EmptyHistory
from stockpipeline.batch.replica_to_redis import EmptyStore, sync_replica
from stockpipeline.cli.batch_report import Told, session_of, tell
from stockpipeline.market.calendar import SessionCalendar, UnknownSession
from stockpipeline.market.listing import BadListing, ShrunkenListing
from stockpipeline.market.sessions import session_date, session_from_date, session_iso
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
    NoDailySource,
    OSError,
    ShrunkenListing,
    StepMissing,
    StoreError,
    UnknownSession,
)
"""Why a step cannot be done."""


class NotSettled(Exception):
    """Some downloads failed; another run asks for them again."""


class SourceRefuses(NotSettled):
    """Some downloads were refused: the source wants to be left alone for a while."""


def run(name: str, config: PipelineConfig, arguments: argparse.Namespace) -> int:
    """Run a command and say what it did; return the exit status."""
    return tell(name, config, arguments, _COMMANDS[name], (*EXPECTED, NotSettled))


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
    "scan": _scan,
    "load": _load,
    "sync": _sync,
    "night": _nights,
}


def _night(config: PipelineConfig, arguments: argparse.Namespace) -> steps.Night:
    return steps.Night(config, arguments.lake, session_of(config, arguments))


def _places(arguments: argparse.Namespace) -> ListingPlaces:
    return ListingPlaces(arguments.listed, arguments.screener)
