"""Taking messages in: decode, detect, and sort out what is no tick of this partition."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import structlog
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from stockpipeline.adapters.kafka_client import reading_failed
from stockpipeline.market.action_record import decode_action
from stockpipeline.market.calendar import UnknownSession
from stockpipeline.market.corporate_actions import CorporateAction, ImpossibleAction, Rescaling
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
from stockpipeline_native import Messages

_log = structlog.get_logger()
WRONG_PARTITION = "wrong-partition"
_REFUSALS = (
    *MalformedReason,
    *(outcome for outcome in Outcome if not outcome.accepted),
    WRONG_PARTITION,
)
MAX_AHEAD_MS = 86_400_000
"""How much later than its arrival in Kafka a tick may claim to be: a wrong clock or time zone, not a wrong
unit. The arrival does not change when a tick is read again, so neither does the answer."""


class Core(Protocol):
    """What is needed of the detector's pure core."""

    def on_tick(self, tick: Tick) -> TickResult:
        """Take one tick."""

    def apply(self, symbol: str, action: CorporateAction) -> Rescaling | None:
        """Take a split or dividend."""


class Output(Protocol):
    """Where signals and dead letters go."""

    def add_signal(self, signal: Signal, tick: Message) -> None:
        """Send a signal that this tick made."""

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        """Send a message that is no tick to the dead-letter topic."""


class Fast(Protocol):
    """What takes most ticks before they come here (see ``signals.fastpath``)."""

    def admit(self, partition: int, latest_ms: int) -> None:
        """Let ticks of a partition pass up to this event time."""

    def take(self, messages: Messages | list[Message], start: int, changed: list[str]) -> int:
        """Take messages from a position on; return that of the first one that is left, or the end."""


class Intake:
    """Feeds messages to the core and its results to the output."""

    def __init__(
        self,
        core: Core,
        fast: Fast,
        output: Output,
        partition_of: Mapping[str, int],
        metrics: DetectorMetrics,
    ) -> None:
        self._core = core
        self._fast = fast
        self._output = output
        self._partition_of = partition_of
        self._metrics = metrics
        self._partition: int | None = None
        self._latest = 0
        for reason in _REFUSALS:
            # A counter that begins with its first refusal shows no increase: the alert would miss that one.
            metrics.refused(reason, 0)

    def take(self, messages: Messages | list[Message]) -> set[str]:
        """Take messages in, in order; return the symbols whose state changed.

        Raises:
            KafkaFatal: one of the messages is the news that this consumer cannot go on.
        """
        changed: list[str] = []
        self._partition = None
        failed = 0
        at = self._fast.take(messages, 0, changed)
        while at < len(messages):
            message = messages[at]
            error = message.error()
            if error is None:
                symbol = self._take_one(message)
                if symbol is not None:
                    changed.append(symbol)
            else:
                reading_failed(error, message.topic())
                failed += 1
            at = self._fast.take(messages, at + 1, changed)
        self._metrics.ticks.inc(len(messages) - failed)
        return set(changed)

    def _take_one(self, message: Message) -> str | None:
        """Take a message that was read; return the symbol whose state it changed."""
        try:
            tick = decode_tick(message.value() or b"")
        except MalformedTick as malformed:
            found = decode_action(message.value() or b"")
            if found is not None:
                return self._take_action(message, *found)
            self._refuse(message, malformed.reason, str(malformed))
            return None
        if not self._is_plausible(message, tick):
            return None
        symbol = tick.symbol
        if self._partition_of.get(symbol) != message.partition():
            self._refuse_stray(message, symbol)
            return None
        outcome, signals = self._core.on_tick(tick)
        if outcome is Outcome.ACCEPTED or outcome is Outcome.OUT_OF_ORDER:
            for signal in signals:
                self._output.add_signal(signal, message)
            return symbol
        if outcome is Outcome.MALFORMED or outcome is Outcome.UNKNOWN_SYMBOL:
            self._refuse(message, outcome, f"{symbol}: the detector refused the tick")
        else:
            self._metrics.refused(outcome)
        return None

    def _take_action(self, message: Message, symbol: str, action: CorporateAction) -> str | None:
        """Rescale a symbol's bars; return the symbol if that changed its state."""
        if self._partition_of.get(symbol) != message.partition():
            self._refuse_stray(message, symbol)
            return None
        try:
            change = self._core.apply(symbol, action)
        except (ImpossibleAction, UnknownSession) as error:
            self._refuse(message, MalformedReason.BAD_ACTION, f"{symbol}: {error}")
            return None
        if change is None:
            self._metrics.refused(Outcome.DUPLICATE)
            return None
        _log.info("bars rescaled", symbol=symbol, price_factor=change.price, volume_factor=change.volume)
        return symbol

    def _is_plausible(self, message: Message, tick: Tick) -> bool:
        """Refuse a tick of the future and return False.

        Later records of a partition came later, so an earlier one's limit spares asking for nearly all.
        """
        partition = message.partition()
        if partition != self._partition:
            self._partition, self._latest = partition, 0
        if tick.ts > self._latest:
            self._latest = latest_event_time(message)
            if tick.ts > self._latest:
                self._refuse(message, MalformedReason.BAD_TIME, _ahead(tick, self._latest))
                return False
            if partition is not None:
                self._fast.admit(partition, self._latest)
        return True

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
