"""Traces by OpenTelemetry, where its standard environment variables ask for them.

Where they do not, nothing of OpenTelemetry is loaded, and what is here does nothing. No trace is made of a
tick: there are too many, and headers on them would slow the detector down. They are made of what is rare and
what people ask about: a signal, from its tick to the replicas; a step of the batch; a pass of the operator.

| variable                           | what                                                           |
|------------------------------------|----------------------------------------------------------------|
| OTEL_EXPORTER_OTLP_ENDPOINT        | where spans go, such as http://collector:4318: turns traces on  |
| OTEL_EXPORTER_OTLP_TRACES_ENDPOINT | the same with its path, such as http://collector:4318/v1/traces |
| OTEL_SDK_DISABLED                  | true: no traces, whatever else is set                           |
| OTEL_TRACES_EXPORTER               | otlp, or none                                                   |
| OTEL_EXPORTER_OTLP_PROTOCOL        | http/protobuf                                                   |

All others mean what the SDK's documentation says: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

from stockpipeline.runtime.settings import BadSetting

if TYPE_CHECKING:
    from stockpipeline.runtime.otlp_traces import OpenSpan, OtlpTraces

TRACEPARENT = "traceparent"
"""The header of a record that leads to its trace (W3C Trace Context)."""

Attribute = str | int | float

_EXPORTER, _PROTOCOL = "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL"
_log = structlog.get_logger()
_traces: "OtlpTraces | None" = None


def configure(component: str, pipeline: str | None = None) -> None:
    """Make traces from now on, if the environment asks for them; `pipeline` is NAMESPACE/NAME.

    Raises:
        BadSetting: it asks for another exporter or protocol.
    """
    global _traces
    if _traces is not None or not _wanted():
        return
    try:
        from stockpipeline.runtime.otlp_traces import OtlpTraces
    except ImportError as error:
        _log.warning("there are no traces: they need the extra stockpipeline[tracing]", why=str(error))
        return
    _traces = OtlpTraces(component, pipeline)


def close() -> None:
    """Send what is left, for a few seconds at most, and make no more."""
    global _traces
    if _traces is not None:
        _traces.close()
        _traces = None


def enabled() -> bool:
    """Whether traces are made."""
    return _traces is not None


def trace_id_of(*texts: str) -> str:
    """Return the id of the trace that all have who know these texts: 32 hex digits."""
    return blake2b("\0".join(texts).encode(), digest_size=16).hexdigest()


def begin(name: str, trace_id: str, started_ms: float, **attributes: Attribute) -> "OpenSpan | None":
    """Begin the first span of a trace at a time (epoch ms); None where no traces are made, or not this one.

    Nothing is sent of one that is not ended.
    """
    return None if _traces is None else _traces.begin(name, trace_id, started_ms, attributes)


def add(name: str, traceparent: str, started_ms: float, ended_ms: float, **attributes: Attribute) -> None:
    """Add a span that is over to the trace that a record told of."""
    if _traces is not None:
        _traces.add(name, traceparent, started_ms, ended_ms, attributes)


@contextmanager
def span(name: str, trace_id: str | None = None, **attributes: Attribute) -> Iterator[None]:
    """Make a span of what is done within, below the span around it; the first begins the trace `trace_id`."""
    if _traces is None:
        yield
    else:
        with _traces.within(name, trace_id, attributes):
            yield


def current_ids() -> dict[str, str]:
    """Return trace_id and span_id of the span around the caller, for the log; nothing where there is none."""
    return {} if _traces is None else _traces.current_ids()


def _wanted() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get(_EXPORTER, "").strip().lower()
    if exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        raise BadSetting(f"{_EXPORTER}: {exporter!r} is not to be had; use otlp or none")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if exporter != "otlp" and not any(os.environ.get(name) for name in endpoints):
        return False
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(_PROTOCOL, "")
    if protocol not in ("", "http/protobuf"):
        raise BadSetting(f"{_PROTOCOL}: {protocol!r} is not to be had; use http/protobuf")
    return True
