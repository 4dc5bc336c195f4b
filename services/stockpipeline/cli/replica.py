"""`stockpipeline replica …`: publish, pull, verify, scrub, restore, list and collect generations.

Every command ends with exit status 0 only if what it says is true; 1 if it could not do it, with the reason
on standard error and, with --json, as an object on standard output; 2 for arguments that cannot be used.
"""

import argparse
import json
import socket
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stockpipeline.store.contracts import Contract
    from stockpipeline.store.verify import VerifyReport

_Run = Callable[[argparse.Namespace], int]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `replica` and its commands to the command line."""
    replica = commands.add_parser("replica", help="Verified copies of the DuckDB store.")
    of_replica = replica.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: _Run, text: str) -> argparse.ArgumentParser:
        parser = of_replica.add_parser(name, help=text, description=text)
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        parser.set_defaults(standalone=_guarded(run))
        return parser

    publish = add("publish", _publish, "Make the master's last commit the newest generation.")
    publish.add_argument("--master", type=Path, required=True, metavar="FILE", help="the writer's database")
    _add_store(publish)
    _add_contract(publish)
    publish.add_argument("--take-over", action="store_true", help="fence every other writer first")
    publish.add_argument(
        "--accept-fork", action="store_true", help="publish a master that is no continuation"
    )
    publish.add_argument(
        "--repair", action="store_true", help="read all of HEAD, upload anew what is damaged"
    )
    publish.add_argument("--writer", default=socket.gethostname(), metavar="NAME", help="default: the host")

    pull = add("pull", _pull, "Bring a folder to the newest generation.")
    _add_store(pull)
    _add_folder(pull)
    _add_contract(pull)
    pull.add_argument("--follow", action="store_true", help="go on until told to stop")
    pull.add_argument(
        "--interval", type=_seconds, default=2.0, metavar="SECONDS", help="of --follow (default 2)"
    )
    pull.add_argument("--accept-fork", action="store_true", help="follow a store that went back or forked")

    serve = add("serve", _serve, "Answer read-only SQL over HTTP on a replica until told to stop.")
    _add_folder(serve)
    serve.add_argument(
        "--listen",
        type=_address,
        default=("127.0.0.1", 8081),
        metavar="HOST:PORT",
        help="default 127.0.0.1:8081",
    )
    serve.add_argument("--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="of a query (30)")
    serve.add_argument("--memory", default="512MB", metavar="SIZE", help="of all queries together (512MB)")

    verify = add("verify", _verify, "Check a replica's current file, or generations in the store.")
    _add_store(verify, required=False)
    _add_folder(verify, required=False)
    verify.add_argument("--generation", type=int, metavar="N", help="only this one of the store")

    scrub = add("scrub", _scrub, "Read all files of a replica, or all of the store; mend the replica.")
    _add_store(scrub, required=False)
    _add_folder(scrub, required=False)

    restore = add("restore", _restore, "Write a generation to a file of its own.")
    _add_store(restore)
    which = restore.add_mutually_exclusive_group()
    which.add_argument("--generation", type=int, metavar="N", help="default: the newest")
    which.add_argument("--at", type=_moment, metavar="TIME", help="the newest at 2026-11-20T21:00:00Z")
    restore.add_argument("--out", type=Path, required=True, metavar="FILE")

    _add_store(add("list", _list, "List the generations that can be restored."))

    collect = add("gc", _collect, "Delete what retention gives up and what nobody refers to.")
    _add_store(collect)
    collect.add_argument(
        "--keep-hours", type=float, default=48.0, metavar="N", help="all of them (default 48)"
    )
    collect.add_argument("--keep-days", type=int, default=35, metavar="N", help="one a day (default 35)")
    collect.add_argument("--keep-months", type=int, default=12, metavar="N", help="one a month (default 12)")
    collect.add_argument(
        "--grace", type=_seconds, default=900.0, metavar="SECONDS", help="for pulls (default 900)"
    )
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")


# Commands import what they need when they run, as the others do.
def _publish(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.object_store import open_store
    from stockpipeline.store.publish import Publisher

    publisher = Publisher(
        open_store(arguments.store),
        arguments.master,
        writer=arguments.writer,
        contracts=_contracts(arguments.contract),
    )
    if arguments.take_over:
        publisher.take_over()
    report = publisher.publish(accept_fork=arguments.accept_fork, repair=arguments.repair)
    what = "published" if report.published else "already is"
    return _say(
        arguments,
        report,
        f"{what} generation {report.generation}: {report.batch}, {_size(report.size)}, "
        f"{report.changed_blocks} blocks uploaded ({_size(report.uploaded_bytes)}) in {report.seconds:.2f} s",
    )


def _pull(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.object_store import open_store
    from stockpipeline.store.pull import Puller, PullReport

    store = open_store(arguments.store)
    puller = Puller(store, arguments.dir, contracts=_contracts(arguments.contract))

    def say(report: PullReport) -> None:
        what = "pulled" if report.advanced else "already at"
        _say(
            arguments,
            report,
            f"{what} generation {report.generation}: {_size(report.size)}, {report.fetched_blocks} blocks "
            f"fetched ({_size(report.fetched_bytes)}) in {report.seconds:.2f} s",
        )

    if not arguments.follow:
        say(puller.pull(accept_fork=arguments.accept_fork))
        return 0
    from stockpipeline.runtime.settings import grace_seconds
    from stockpipeline.runtime.shutdown import Shutdown
    from stockpipeline.store.follow import follow

    shutdown = Shutdown(grace_seconds())
    shutdown.install()
    good = follow(
        puller,
        shutdown,
        arguments.interval,
        on_report=say,
        on_trouble=lambda error: _complain(arguments, error),
        accept_fork=arguments.accept_fork,
    )
    return 0 if good else 1


def _serve(arguments: argparse.Namespace) -> int:
    from stockpipeline.runtime.settings import grace_seconds
    from stockpipeline.runtime.shutdown import Shutdown
    from stockpipeline.store.query import Limits, QueryService
    from stockpipeline.store.sql_endpoint import SqlEndpoint

    limits = Limits(seconds=arguments.timeout, memory=arguments.memory)
    endpoint = SqlEndpoint(QueryService(arguments.dir, limits), arguments.listen)
    shutdown = Shutdown(grace_seconds())
    shutdown.install()
    endpoint.start()
    host, port = endpoint.address
    text = (
        json.dumps({"ok": True, "host": host, "port": port})
        if arguments.json
        else f"http://{host}:{port}/query"
    )
    print(text, flush=True)
    while not shutdown.requested:
        shutdown.wait(3600)
    endpoint.stop()
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.log import Log
    from stockpipeline.store.object_store import open_store
    from stockpipeline.store.replica_folder import ReplicaFolder
    from stockpipeline.store.verify import verify_generations, verify_replica

    if (arguments.dir is None) == (arguments.store is None):
        raise _Usage("give either --dir or --store")
    if arguments.dir is not None:
        if arguments.generation is not None:
            raise _Usage("--generation is of --store; a folder's current generation is verified")
        return _say_verified(arguments, verify_replica(ReplicaFolder(arguments.dir)))
    store = open_store(arguments.store)
    log = Log(store)
    wanted = log.generations() if arguments.generation is None else [log.generation(arguments.generation)]
    return _say_verified(arguments, verify_generations(store, wanted))


def _scrub(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.object_store import open_store
    from stockpipeline.store.pull import Puller
    from stockpipeline.store.replica_folder import ReplicaFolder
    from stockpipeline.store.scrub import scrub_replica
    from stockpipeline.store.verify import verify_all

    store = open_store(arguments.store) if arguments.store is not None else None
    if arguments.dir is None:
        if store is None:
            raise _Usage("give --dir, --store, or both: then what is damaged in the folder is fetched anew")
        return _say_verified(arguments, verify_all(store))
    puller = Puller(store, arguments.dir) if store is not None else None
    report = scrub_replica(ReplicaFolder(arguments.dir), puller)
    lines = [
        f"{len(report.generations)} files, {report.blocks} blocks read: {len(report.problems)} damaged, "
        f"{report.repaired} of these mended",
        *report.problems,
    ]
    _say(arguments, report, "\n".join(lines))
    return 0 if report.good else 1


def _restore(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.object_store import open_store
    from stockpipeline.store.restore import restore

    report = restore(
        open_store(arguments.store), arguments.out, generation=arguments.generation, at_ms=arguments.at
    )
    return _say(
        arguments,
        report,
        f"restored generation {report.generation} ({report.commit.batch}, {_time(report.published_ms)}) to "
        f"{report.out}: {_size(report.size)}, verified, in {report.seconds:.2f} s",
    )


def _list(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.log import Log
    from stockpipeline.store.object_store import open_store

    generations = Log(open_store(arguments.store)).generations()
    if arguments.json:
        rows = [
            {"generation": one.generation, "published": _time(one.published_ms), "root": one.root}
            for one in generations
        ]
        print(json.dumps({"ok": True, "generations": rows}))
        return 0
    for one in generations:
        print(f"{one.generation:>10}  {_time(one.published_ms)}  {one.root[:16]}")
    return 0


def _collect(arguments: argparse.Namespace) -> int:
    from stockpipeline.store.collect import collect
    from stockpipeline.store.object_store import open_store
    from stockpipeline.store.retention import Retention

    retention = Retention(
        hours=arguments.keep_hours,
        days=arguments.keep_days,
        months=arguments.keep_months,
        grace_seconds=arguments.grace,
    )
    report = collect(open_store(arguments.store), retention, dry_run=arguments.dry_run)
    what = "would delete" if report.dry_run else "deleted"
    return _say(
        arguments,
        report,
        f"{what} {report.deleted_objects} objects ({_size(report.deleted_bytes)}) and "
        f"{len(report.expired)} generations; {len(report.kept)} stay",
    )


class _Usage(Exception):
    """Arguments that do not go together."""


def _guarded(run: _Run) -> _Run:
    def guarded(arguments: argparse.Namespace) -> int:
        from stockpipeline.store.errors import StoreError

        try:
            return run(arguments)
        except (_Usage, ValueError) as error:
            print(error, file=sys.stderr)
            return 2
        except (StoreError, OSError) as error:
            _complain(arguments, error)
            return 1

    return guarded


def _complain(arguments: argparse.Namespace, error: Exception) -> None:
    if arguments.json:
        print(json.dumps({"ok": False, "error": type(error).__name__, "message": str(error)}), flush=True)
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _say(arguments: argparse.Namespace, report: Any, text: str, *, ok: bool = True) -> int:
    import msgspec

    if arguments.json:
        text = json.dumps({"ok": ok, **msgspec.to_builtins(report)})
    print(text, flush=True)
    return 0 if ok else 1


def _say_verified(arguments: argparse.Namespace, report: "VerifyReport") -> int:
    numbers = ", ".join(str(number) for number in report.generations[:10])
    more = f" and {len(report.generations) - 10} more" if len(report.generations) > 10 else ""
    verdict = f"generation {numbers}{more}: {report.blocks} blocks, " + (
        "all good" if report.good else "DAMAGED"
    )
    return _say(arguments, report, "\n".join([verdict, *report.problems]), ok=report.good)


def _contracts(paths: Iterable[Path]) -> "list[Contract]":
    from stockpipeline.store.contracts import load_contract

    return [load_contract(path) for path in paths]


def _add_store(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument(
        "--store",
        required=required,
        metavar="URL",
        help="file:///path, s3://bucket/prefix, gs://… or az://…; credentials come from the environment",
    )


def _add_folder(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--dir", type=Path, required=required, metavar="DIR", help="the replica's folder")


def _add_contract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--contract",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="tables and columns that readers need; refuse a generation without them (may be repeated)",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _moment(text: str) -> int:
    """Return milliseconds since the epoch; a time without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO time such as 2026-11-20T21:00:00Z") from error
    return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
