"""Taking messages in: decode, detect, and sort out what is no tick of this partition."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

import structlog
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.market.ticks import (
    MAX_EVENT_TIME_MS,
    MalformedReason,
    MalformedTick,
    Tick,
    decode_tick,
)
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.detector import Outcome, TickResult
from stockpipeline.signals.signal import Signal

_log = structlog.get_logger()
WRONG_PARTITION = "wrong-partition"
MAX_AHEAD_MS = 86_400_000
"""How much later than its arrival in Kafka a tick may claim to be: a wrong clock or time zone, not a wrong
unit. The arrival does not change when a tick is read again, so neither does the answer."""


class Core(Protocol):
    """What is needed of the detector's pure core."""

    def on_tick(self, tick: Tick) -> TickResult:
        """Take one tick."""


class Output(Protocol):
    """Where signals and dead letters go."""

    def add_signal(self, signal: Signal, tick: Message) -> None:
        """Send a signal that this tick made."""

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        """Send a message that is no tick to the dead-letter topic."""


class Intake:
    """Feeds messages to the core and its results to the output."""

    def __init__(
        self, core: Core, output: Output, partition_of: Mapping[str, int], metrics: DetectorMetrics
    ) -> None:
        self._core = core
        self._output = output
        self._partition_of = partition_of
        self._metrics = metrics

    def take(self, messages: Iterable[Message]) -> set[str]:
        """Take messages in, in order; return the symbols whose state changed.

        Raises:
            KafkaFatal: one of the messages is the news that this consumer cannot go on.
        """
        changed: set[str] = set()
        count = 0
        on_tick, partition_of = self._core.on_tick, self._partition_of
        partition, latest = None, 0
        for message in messages:
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaFatal(f"reading {message.topic()}: {error.str()}")
                _log.warning("reading failed", topic=message.topic(), error=error.str())
                continue
            count += 1
            try:
                tick = decode_tick(message.value() or b"")
            except MalformedTick as malformed:
                self._refuse(message, malformed.reason, str(malformed))
                continue
            if message.partition() != partition:
                partition, latest = message.partition(), 0
            # Later records of a partition came later, so an earlier one's limit spares asking for nearly all.
            if tick.ts > latest:
                latest = latest_event_time(message)
                if tick.ts > latest:
                    self._refuse(message, MalformedReason.BAD_TIME, _ahead(tick, latest))
                    continue
            symbol = tick.symbol
            if partition_of.get(symbol) != partition:
                self._refuse_stray(message, symbol)
                continue
            outcome, signals = on_tick(tick)
            if outcome is Outcome.ACCEPTED or outcome is Outcome.OUT_OF_ORDER:
                changed.add(symbol)
                for signal in signals:
                    self._output.add_signal(signal, message)
            elif outcome is Outcome.MALFORMED or outcome is Outcome.UNKNOWN_SYMBOL:
                self._refuse(message, outcome, f"{symbol}: the detector refused the tick")
            else:
                self._metrics.refused(outcome)
        self._metrics.ticks.inc(count)
        return changed

    def _refuse_stray(self, message: Message, symbol: str) -> None:
        """Refuse a tick whose symbol belongs elsewhere: its state is not here."""
        expected = self._partition_of.get(symbol)
        if expected is None:
            self._refuse(message, Outcome.UNKNOWN_SYMBOL, f"{symbol} is not in the pipeline's universe")
        else:
            self._refuse(
                message,
                WRONG_PARTITION,
                f"{symbol} belongs in partition {expected}; producers must key ticks by symbol and partition "
                "them with murmur2",
            )

    def _refuse(self, message: Message, reason: StrEnum | str, explanation: str) -> None:
        self._metrics.refused(str(reason))
        self._output.add_dead_letter(message, str(reason), explanation)


def latest_event_time(message: Message) -> int:
    """Return the latest event time (epoch ms) that is believed of this message's tick."""
    kind, arrived_ms = message.timestamp()
    return MAX_EVENT_TIME_MS if kind == TIMESTAMP_NOT_AVAILABLE else arrived_ms + MAX_AHEAD_MS


def _ahead(tick: Tick, latest_ms: int) -> str:
    days = (tick.ts - latest_ms) / MAX_AHEAD_MS + 1
    return f"{tick.symbol}: ts {tick.ts} is {days:.1f} days after the tick came to Kafka; a day is the most"
