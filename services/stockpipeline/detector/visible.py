"""What is told of a signal once readers can see it: a measure, and a line of the log.

The signal's id leads on from there: it is in the record of the signals topic, in those of its performance, in
the store, in Redis, and beside the measure as an exemplar. Partition and offset lead back to its tick.
"""

import time
from typing import NamedTuple

import structlog
from confluent_kafka import Message

from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.signal import Signal

_log = structlog.get_logger()


class Origin(NamedTuple):
    """Where the tick of a signal is in the ticks topic, and when it came there (epoch ms)."""

    partition: int | None
    offset: int | None
    arrived_ms: int


def origin_of(tick: Message) -> Origin:
    """Return where a tick is."""
    return Origin(tick.partition(), tick.offset(), tick.timestamp()[1])


def tell_visible(signal: Signal, origin: Origin, metrics: DetectorMetrics) -> None:
    """Say that readers can see a signal from now on."""
    seconds = max(0.0, time.time() - origin.arrived_ms / 1000)
    metrics.signal(signal.id, signal.rule, signal.side, seconds)
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
    )
