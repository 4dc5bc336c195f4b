"""Traces by OpenTelemetry's SDK, sent by OTLP over HTTP; loaded only where `tracing` is asked for them."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from stockpipeline import __version__
from stockpipeline.runtime.redaction import conceal, redact
from stockpipeline.runtime.settings import instance_name

Attributes = Mapping[str, str | int | float]

_PREFIX = "stockpipeline."
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
# A process that ends must not wait for a collector that is not there.
_CLOSE_SECONDS = 3.0
_NANOSECONDS = 1_000_000
_w3c = TraceContextTextMapPropagator()


class OpenSpan:
    """A span that began and is not over."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, Context())

    @property
    def traceparent(self) -> str:
        """What a record has to say for whoever reads it to go on with the trace."""
        carrier: dict[str, str] = {}
        _w3c.inject(carrier, self._context)
        return carrier["traceparent"]

    def add(self, name: str, started_ms: float, ended_ms: float) -> None:
        """Add a part of it that is over."""
        part = self._tracer.start_span(name, self._context, start_time=_nanoseconds(started_ms))
        part.end(_nanoseconds(ended_ms))

    def end(self, ended_ms: float) -> None:
        """Say that it was over at this time (epoch ms)."""
        self._span.end(_nanoseconds(ended_ms))


class OtlpTraces:
    """The spans of this process; may be used by several threads."""

    def __init__(self, component: str, pipeline: str | None) -> None:
        _conceal_headers()
        described = {
            "service.name": f"stockpipeline-{component}",
            "service.version": __version__,
            "service.instance.id": instance_name(),
        }
        if pipeline is not None:
            described[f"{_PREFIX}pipeline"] = pipeline
        # What the environment says counts.
        resource = Resource.create(described).merge(OTELResourceDetector().detect())
        self._ids = _Ids()
        # Not its own hook at the end of the process, which waits half a minute.
        provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("stockpipeline", __version__)

    def begin(self, name: str, trace_id: str, started_ms: float, attributes: Attributes) -> OpenSpan | None:
        """Begin the first span of a trace; None where the trace is not sampled."""
        with self._ids.chosen(trace_id):
            span = self._tracer.start_span(
                name, Context(), attributes=_described(attributes), start_time=_nanoseconds(started_ms)
            )
        return OpenSpan(self._tracer, span) if span.is_recording() else None

    def add(
        self, name: str, traceparent: str, started_ms: float, ended_ms: float, attributes: Attributes
    ) -> None:
        """Add a span that is over to a trace that came with a record."""
        context = _w3c.extract({"traceparent": traceparent}, Context())
        if not get_current_span(context).get_span_context().is_valid:
            return  # whoever wrote the record made the header up
        span = self._tracer.start_span(
            name,
            context,
            SpanKind.CONSUMER,
            attributes=_described(attributes),
            start_time=_nanoseconds(started_ms),
        )
        span.end(_nanoseconds(ended_ms))

    @contextmanager
    def within(self, name: str, trace_id: str | None, attributes: Attributes) -> Iterator[None]:
        """Make a span of what is done within; an exception makes it one that failed."""
        with (
            self._ids.chosen(trace_id),
            # The SDK would send the exception with its traceback, and whatever secrets are there.
            self._tracer.start_as_current_span(
                name,
                attributes=_described(attributes),
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
        ):
            try:
                yield
            except Exception as error:
                span.set_status(StatusCode.ERROR, redact(f"{type(error).__name__}: {error}"))
                raise

    def current_ids(self) -> dict[str, str]:
        """Return trace_id and span_id of the span around the caller; nothing where there is none."""
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        # It takes no limit of time, and waits for half a minute.
        closing = threading.Thread(target=self._processor.shutdown, name="close-traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


class _Ids(RandomIdGenerator):
    """Random ids, but for traces whose id somebody chose."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextmanager
    def chosen(self, trace_id: str | None) -> Iterator[None]:
        """Give a trace that begins within this id."""
        self._of_thread.trace_id = None if trace_id is None else int(trace_id, 16)
        try:
            yield
        finally:
            self._of_thread.trace_id = None

    def generate_trace_id(self) -> int:
        return getattr(self._of_thread, "trace_id", None) or super().generate_trace_id()

    def is_trace_id_random(self) -> bool:
        return False


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * _NANOSECONDS)


def _described(attributes: Attributes) -> dict[str, str | int | float]:
    """Attributes under our prefix, unless they have OpenTelemetry's own names; no secret is in one."""
    return {
        name if "." in name else _PREFIX + name: redact(value) if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _conceal_headers() -> None:
    """They have the token for the collector: `name=value,name=value`, with values as in URLs."""
    for variable in _HEADERS:
        for header in os.environ.get(variable, "").split(","):
            _, _, value = header.strip().partition("=")
            for word in (*value.split(), *unquote(value).split()):
                conceal(word)
