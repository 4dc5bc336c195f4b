"""The frame around a service's life: logs, signals, and a crash as one line of the log."""

import sys
from collections.abc import Callable
from types import TracebackType

import structlog

from stockpipeline import __version__
from stockpipeline.api import PipelineConfig
from stockpipeline.runtime import logs, tracing
from stockpipeline.runtime.settings import grace_seconds, instance_name
from stockpipeline.runtime.shutdown import Shutdown

_log = structlog.get_logger()


def run_service(
    component: str, config: PipelineConfig, run: Callable[[PipelineConfig, Shutdown], int]
) -> int:
    """Run a component until it is told to stop; return the process's exit status.

    Raises:
        BadSetting: an environment variable has a value that cannot be used.
        ValueError: as `run` does for a configuration that it cannot use.
    """
    pipeline = f"{config.namespace}/{config.name}"
    logs.configure(component=component, pipeline=pipeline)
    tracing.configure(component, pipeline)
    sys.excepthook = _log_crash
    shutdown = Shutdown(grace_seconds())
    shutdown.install()
    _log.info("starting", version=__version__, instance=instance_name(), kafka=config.bootstrap_servers)
    try:
        return run(config, shutdown)
    finally:
        tracing.close()


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("crashed", exc_info=(kind, error, trace))
