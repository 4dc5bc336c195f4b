"""The command line: `stockpipeline COMMAND`, one entry point for the services and for people."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from stockpipeline import __version__
from stockpipeline.cli import batch, replica

if TYPE_CHECKING:
    from stockpipeline.api import PipelineConfig
    from stockpipeline.runtime.shutdown import Shutdown

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 wrong arguments or configuration."""
    parsed = _parser().parse_args(arguments)
    if parsed.run is None and parsed.standalone is None:
        print(__version__)
        return 0
    try:
        return parsed.standalone(parsed) if parsed.standalone else _with_config(parsed.run, parsed)
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, had enough; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


# Commands import what they need when they run: `version` and a wrong argument must not wait for pandas.
def _producer(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.producer.main import run
    from stockpipeline.runtime.service import run_service

    return run_service(
        "producer",
        config,
        partial(run, record=arguments.record, recorded=arguments.ticks, shared=arguments.shared),
    )


def _detector(config: "PipelineConfig", _arguments: argparse.Namespace) -> int:
    from stockpipeline.runtime.service import run_service

    return run_service("detector", config, import_detector())


def import_detector() -> "Callable[[PipelineConfig, Shutdown], int]":
    """Load the detector, which has to start soon, without the data frames that it has no use for."""
    from stockpipeline.runtime.imports import without

    with without("pandas", "polars"):
        from stockpipeline.detector.main import run
    return run


def _store(config: "PipelineConfig", _arguments: argparse.Namespace) -> int:
    if config.spec.store is None:
        raise _Usage(f"the pipeline {config.namespace}/{config.name} has no spec.store")
    from stockpipeline.runtime.service import run_service
    from stockpipeline.store_service.main import run

    return run_service("store", config, run)


def _replica_sync(config: "PipelineConfig", _arguments: argparse.Namespace) -> int:
    if config.spec.replica_sync is None:
        raise _Usage(f"the pipeline {config.namespace}/{config.name} has no spec.replicaSync")
    from stockpipeline.replica_sync.main import run
    from stockpipeline.runtime.service import run_service

    return run_service("replica-sync", config, run)


def _history_load(config: "PipelineConfig", _arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.history import load

    return load(config)


def _replay(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    if arguments.ticks is not None and arguments.bars is None:
        raise _Usage("--ticks needs --bars: the history before the ticks")
    if arguments.bars is not None and arguments.ticks is None and not arguments.bars_as_ticks:
        raise _Usage("--bars needs --ticks FILE, or --bars-as-ticks to play the bars by themselves")
    from stockpipeline.cli.replay import ReplayFiles, replay

    files = ReplayFiles(
        arguments.bars, arguments.ticks, arguments.signals, arguments.indicators, arguments.performance
    )
    return replay(config, files)


def _signals(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.signals import show

    return show(config, arguments.last, as_json=arguments.json, out=sys.stdout)


def _performance(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.performance import show

    return show(config, as_json=arguments.json, out=sys.stdout)


def _action(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.action import send
    from stockpipeline.market.corporate_actions import CorporateAction
    from stockpipeline.market.sessions import session_from_date

    if arguments.symbol not in config.spec.universe.symbols:
        raise _Usage(f"{arguments.symbol} is not in the pipeline's universe")
    if (arguments.split, arguments.dividend) == (1.0, 0.0):
        raise _Usage("nothing happened: give --split, --dividend or both")
    action = CorporateAction(session_from_date(arguments.date), arguments.split, arguments.dividend)
    return send(config, arguments.symbol, action)


def _symbols(config: "PipelineConfig", arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.symbols import SymbolFiles, symbols

    cache = arguments.cache or _default_cache() / f"{config.namespace}.{config.name}.symbols.jsonl"
    files = SymbolFiles(arguments.listed, arguments.screener, cache)
    return symbols(config, files, accept_fewer=arguments.accept_fewer, out=sys.stdout)


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stockpipeline"


class _Usage(Exception):
    """Arguments that do not go together."""


Command = Callable[["PipelineConfig", argparse.Namespace], int]


def _with_config(command: Command, arguments: argparse.Namespace) -> int:
    from stockpipeline.cli.config_file import ConfigError, load_config
    from stockpipeline.indicators.catalog import IndicatorError
    from stockpipeline.market.packaged import UnknownPackagedSymbol
    from stockpipeline.runtime.settings import BadSetting
    from stockpipeline.signals.syntax import RuleError
    from stockpipeline.sources.configured import NoReplay
    from stockpipeline.sources.files import BadFile

    try:
        return command(load_config(arguments.config), arguments)
    except _Usage as error:
        print(f"stockpipeline: {error}", file=sys.stderr)
    except (ConfigError, BadSetting, BadFile) as error:
        print(error, file=sys.stderr)
    except (IndicatorError, RuleError, UnknownPackagedSymbol, NoReplay) as error:
        print(f"{arguments.config}: {error}", file=sys.stderr)
    return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stockpipeline", description="Stock-signal pipelines.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    # A command sets `run` if it is about a pipeline, `standalone` if it needs no configuration of one.
    parser.set_defaults(run=None, standalone=None)
    commands.add_parser("version", help="Print the version.")
    history = commands.add_parser("history", help="The bars that indicators warm up from.")
    of_history = history.add_subparsers(metavar="COMMAND", required=True)

    producer = commands.add_parser("producer", help="Send market data to Kafka until told to stop.")
    file = producer.add_mutually_exclusive_group()
    file.add_argument(
        "--record", type=Path, metavar="JSONL", help="also append what live sources give to this file"
    )
    file.add_argument(
        "--ticks",
        type=Path,
        metavar="JSONL",
        help="play a recorded file in place of the sources, at the replay's speed or else at its own",
    )
    producer.add_argument(
        "--shared",
        action="store_true",
        help="share the symbols with the pipeline's other producers, by leases in its Redis",
    )
    detector = commands.add_parser("detector", help="Turn ticks into signals until told to stop.")
    store = commands.add_parser("store", help="Load signals into the DuckDB store, and publish it.")
    replica_sync = commands.add_parser("replica-sync", help="Keep a replica of the store fresh.")
    load = of_history.add_parser("load", help="Put the daily bars before the replay's start into Redis.")
    replay = commands.add_parser("replay", help="Run a pipeline over the past, without servers.")
    signals = commands.add_parser("signals", help="Show the newest signals of a running pipeline.")
    signals.add_argument("--last", type=_positive, default=20, metavar="N", help="how many (default 20)")
    signals.add_argument("--json", action="store_true", help="lines of JSON instead of a table")
    performance = commands.add_parser(
        "performance", help="Show what a running pipeline's signals have earned."
    )
    performance.add_argument("--json", action="store_true", help="all figures and signals instead of a table")
    action = commands.add_parser("action", help="Tell a running pipeline of a split or dividend.")
    action.add_argument("--symbol", required=True, help="whose")
    action.add_argument(
        "--date", type=_date, required=True, metavar="DATE", help="the first day at the new terms: 2005-02-28"
    )
    action.add_argument("--split", type=_split, default=1.0, metavar="N", help="new shares per old one")
    action.add_argument(
        "--dividend", type=_dividend, default=0.0, metavar="CASH", help="cash per share, before the split"
    )
    listing = commands.add_parser(
        "symbols", help="Show the stocks that the exchange lists, as lines of JSON."
    )
    listing.add_argument("--listed", type=Path, metavar="TXT", help="nasdaqlisted.txt (default: NASDAQ's)")
    listing.add_argument(
        "--screener", type=Path, metavar="JSON", help="the screener's answer (default: NASDAQ's)"
    )
    listing.add_argument(
        "--cache", type=Path, metavar="JSONL", help="where the last listing is kept (default: in ~/.cache)"
    )
    listing.add_argument(
        "--accept-fewer", action="store_true", help="take a listing that has shrunk by too much for once"
    )
    _add_replay_files(replay)
    replica.add_parser(commands)
    runs: dict[argparse.ArgumentParser, Command] = {
        producer: _producer,
        detector: _detector,
        store: _store,
        replica_sync: _replica_sync,
        load: _history_load,
        replay: _replay,
        signals: _signals,
        performance: _performance,
        action: _action,
        listing: _symbols,
        **batch.add_parser(commands),
    }
    for command, run in runs.items():
        command.set_defaults(run=run)
        command.add_argument(
            "--pipeline" if command is replay else "--config",
            dest="config",
            type=Path,
            required=True,
            metavar="FILE",
            help="pipeline.json, or a StockPipeline resource in YAML or JSON",
        )
    return parser


def _add_replay_files(replay: argparse.ArgumentParser) -> None:
    replay.add_argument(
        "--bars",
        type=Path,
        metavar="CSV",
        help="daily bars: symbol,date,open,high,low,close,volume and, if there, split,dividend "
        "(default: the real bars that ship with the product, played as ticks)",
    )
    ticks = replay.add_mutually_exclusive_group()
    ticks.add_argument("--ticks", type=Path, metavar="JSONL", help="ticks, one a line, as in the topic")
    ticks.add_argument(
        "--bars-as-ticks", action="store_true", help="play the bars from the pipeline's start on as ticks"
    )
    replay.add_argument(
        "--signals", type=Path, metavar="JSONL", help="where signals go (default: standard output)"
    )
    replay.add_argument(
        "--indicators", type=Path, metavar="JSONL", help="where the indicators' values after each tick go"
    )
    replay.add_argument(
        "--performance", type=Path, metavar="JSON", help="where goes what the signals would have earned"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date; write it as 2005-02-28") from None


def _split(text: str) -> float:
    number = float(text)
    if not 0.0 < number < inf:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def _dividend(text: str) -> float:
    number = float(text)
    if not 0.0 <= number < inf:
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number
