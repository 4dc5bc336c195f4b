"""Structured logs: one JSON object per line, or readable lines on a terminal. No line has a secret."""

import logging
import sys
from collections.abc import Callable
from typing import Any, TextIO

import structlog

from stockpipeline.runtime.redaction import conceal_environment, redact
from stockpipeline.runtime.settings import log_level
from stockpipeline.runtime.tracing import current_ids


def configure(stream: TextIO | None = None, **context: str) -> None:
    """Send all logs, also those of libraries that use `logging`, to `stream` (standard output).

    `context` (for instance component and pipeline) is part of every line.

    Raises:
        BadSetting: the environment asks for a level that does not exist.
    """
    stream = stream if stream is not None else sys.stdout
    level = logging.getLevelNamesMapping()[log_level().upper()]
    # Not contextvars: those are per thread, and the context belongs to the whole process.
    shared: list[structlog.typing.Processor] = [
        _constant(context),
        _traced,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    conceal_environment()
    render = _redacted(
        structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _redacted(render: Callable[..., str | bytes]) -> structlog.typing.Processor:
    def finish(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
        return redact(str(render(logger, method, event)))

    return finish


def _traced(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**current_ids(), **event}


def _constant(context: dict[str, str]) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**context, **event}

    return add
