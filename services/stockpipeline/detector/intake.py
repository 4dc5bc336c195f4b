"""Taking messages in: decode, detect, and sort out what is no tick of this partition."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

import structlog
from confluent_kafka import Message

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.market.ticks import MalformedTick, Tick, decode_tick
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.detector import Outcome, TickResult
from stockpipeline.signals.signal import Signal

_log = structlog.get_logger()
WRONG_PARTITION = "wrong-partition"


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
    """Feeds messages to the core and its results to the output.

    `event_times` has the event time (epoch ms) of the newest tick of each symbol since the start.
    """

    def __init__(
        self, core: Core, output: Output, partition_of: Mapping[str, int], metrics: DetectorMetrics
    ) -> None:
        self.event_times: dict[str, int] = {}
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
        on_tick, partition_of, event_times = self._core.on_tick, self._partition_of, self.event_times
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
            symbol = tick.symbol
            if partition_of.get(symbol) != message.partition():
                self._refuse_stray(message, symbol)
                continue
            outcome, signals = on_tick(tick)
            if outcome is Outcome.ACCEPTED or outcome is Outcome.OUT_OF_ORDER:
                changed.add(symbol)
                event_times[symbol] = tick.ts
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
