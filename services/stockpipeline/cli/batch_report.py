"""What every command of `stockpipeline batch` says, and which session it is about."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from stockpipeline.api import PipelineConfig
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.sessions import session_from_date
from stockpipeline.runtime import tracing
from stockpipeline.runtime.logs import configure
from stockpipeline.store.errors import Unavailable

Told = Iterator[tuple[str, Any]]
"""Names of steps and their reports."""


def tell(
    name: str,
    config: PipelineConfig,
    arguments: argparse.Namespace,
    told: Callable[[PipelineConfig, argparse.Namespace], Told],
    expected: tuple[type[Exception], ...],
) -> int:
    """Run the steps of a command and say what they did; return the exit status.

    A lake in an object store is brought to this machine before, and back after.

    ``expected`` is why a step cannot be done; anything else is a mistake in the program, and shows its stack.
    """
    configure(sys.stderr, component="batch", pipeline=config.name)  # standard output is for reports
    tracing.configure("batch", f"{config.namespace}/{config.name}")
    as_json = arguments.json
    reasons: tuple[type[Exception], ...] = (Unavailable, *expected)
    try:
        with tracing.span(f"batch {name}", _trace_id(config, arguments)), _lake_in_sight(arguments):
            for step, report in told(config, arguments):
                _say(step, report, as_json=as_json)
    except reasons as error:
        if as_json:
            print(json.dumps({"ok": False, "error": type(error).__name__, "message": str(error)}), flush=True)
        print(f"stockpipeline batch {name}: {error}", file=sys.stderr)
        return 1
    finally:
        tracing.close()
    return 0


def _trace_id(config: PipelineConfig, arguments: argparse.Namespace) -> str | None:
    """The id of the trace that all steps of a session share; each is a process of its own."""
    if arguments.session is None:
        return None
    return tracing.trace_id_of("batch", config.namespace, config.name, str(arguments.session))


@contextmanager
def _lake_in_sight(arguments: argparse.Namespace) -> Iterator[None]:
    """Let ``arguments.lake`` be a folder."""
    url = getattr(arguments, "lake", None)
    if not isinstance(url, str):
        yield
        return
    from stockpipeline.batch.lake_mirror import mirrored

    with ExitStack() as stack:
        folder = arguments.lake_cache
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="stockpipeline-lake-")))
        arguments.lake = folder
        stack.enter_context(mirrored(url, folder))
        yield


def session_of(config: PipelineConfig, arguments: argparse.Namespace) -> int:
    """Return the session that is asked for, else the last one that is over.

    Raises:
        UnknownSession: the exchange does not trade on that day.
    """
    calendar = SessionCalendar(config.spec.universe.exchange)
    if arguments.session is None:
        return calendar.last_closed(int(time.time() * 1000))
    session = session_from_date(arguments.session)
    calendar.open_close_ms(session)
    return session


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
