"""Structured logs: one JSON object per line, or readable lines on a terminal."""

import logging
import os
import sys
from typing import Any, TextIO

import structlog

LEVEL_VARIABLE = "STOCKPIPELINE_LOG_LEVEL"
_LEVELS = ("debug", "info", "warning", "error")


def configure(stream: TextIO | None = None, **context: str) -> None:
    """Send all logs, also those of libraries that use `logging`, to `stream` (standard output).

    `context` (for instance component and pipeline) is part of every line.
    The level comes from the environment variable STOCKPIPELINE_LOG_LEVEL (debug, info, warning, error).

    Raises:
        ValueError: the level is none of those.
    """
    stream = stream if stream is not None else sys.stdout
    name = os.environ.get(LEVEL_VARIABLE, "info").lower()
    if name not in _LEVELS:
        raise ValueError(f"{LEVEL_VARIABLE}: {name!r} is not a level; use one of {', '.join(_LEVELS)}")
    level = getattr(logging, name.upper())
    # Not contextvars: those are per thread, and the context belongs to the whole process.
    shared: list[structlog.typing.Processor] = [
        _constant(context),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    render: structlog.typing.Processor
    render = structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer()
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


def _constant(context: dict[str, str]) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**context, **event}

    return add
