"""What is told of a signal once readers can see it: a measure, a line of the log, and a trace if asked for.

The signal's id leads on from there: it is in the record of the signals topic, in those of its performance, in
the store, in Redis, and beside the measure as an exemplar; it is the trace's id. Partition and offset lead
back to its tick.
"""

import time
from typing import NamedTuple

import structlog
from confluent_kafka import Message

from stockpipeline.runtime import tracing
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.signal import Signal

_log = structlog.get_logger()


class Origin(NamedTuple):
    """Where the tick of a signal is in the ticks topic, and when it came there (epoch ms)."""

    partition: int | None
    offset: int | None
    arrived_ms: int


class Sighting:
    """A signal that readers will see, and its tick. Made when it is sent; never told of if it is given up."""

    def __init__(self, signal: Signal, tick: Message) -> None:
        self._signal = signal
        self._origin = Origin(tick.partition(), tick.offset(), tick.timestamp()[1])
        self._span = None
        self._found_ms = 0.0
        if tracing.enabled():
            self._found_ms = time.time() * 1000
            self._span = tracing.begin(
                "signal",
                signal.id,
                # The record's time: that at which its producer handed it to Kafka's client.
                self._origin.arrived_ms,
                symbol=signal.symbol,
                rule=signal.rule,
                side=signal.side,
                source=signal.source,
                event_ms=signal.ts,
                tick_partition=self._origin.partition or 0,
                tick_offset=self._origin.offset or 0,
            )

    @property
    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        """Of the signal's record: by them whoever reads it goes on with its trace."""
        return None if self._span is None else [(tracing.TRACEPARENT, self._span.traceparent.encode())]

    def tell(self, metrics: DetectorMetrics) -> None:
        """Say that readers can see the signal from now on."""
        signal, origin = self._signal, self._origin
        now_ms = time.time() * 1000
        seconds = max(0.0, (now_ms - origin.arrived_ms) / 1000)
        metrics.signal(signal.id, signal.rule, signal.side, seconds)
        ids: dict[str, str] = {}
        if self._span is not None:
            self._span.add("tick waits and is evaluated", origin.arrived_ms, self._found_ms)
            self._span.add("signal is sent and committed", self._found_ms, now_ms)
            self._span.end(now_ms)
            ids = {"trace_id": signal.id}
        _log.info(
            "signal",
            signal_id=signal.id,
            symbol=signal.symbol,
            rule=signal.rule,
            side=signal.side,
            source=signal.source,
            partition=origin.partition,
            offset=origin.offset,
            seconds=round(seconds, 4),
            **ids,
        )
