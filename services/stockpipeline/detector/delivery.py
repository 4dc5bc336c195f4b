"""What the main loop asks of the way in which results are handed over.

There are two: `transaction` (exactly once: everything is one transaction) and `early_signals` (at least once:
signals are sent at once, and only state and offsets are one transaction).
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from confluent_kafka import Message

from stockpipeline.signals.signal import Signal


class Delivery(Protocol):
    """Takes results, and commits them with the state and the offsets that led to them.

    Any call may raise ``TransactionFailed`` (abort, go back to what is committed and restore) or
    ``KafkaFatal`` (start the process anew).
    """

    def poll(self) -> None:
        """Serve callbacks; notice what failed in the background."""

    def begin(self) -> None:
        """Expect results."""

    def add_signal(self, signal: Signal, tick: Message) -> None:
        """Hand over a signal that this tick made."""

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        """Hand over a message that is no tick."""

    def changed(self, symbols: Iterable[str]) -> None:
        """Note that the state of these symbols changed."""

    def processed(self, positions: Mapping[int, int]) -> None:
        """Note up to where ticks are processed: partition → next offset."""

    def is_due(self, *, caught_up: bool, far_behind: bool) -> bool:
        """Whether to commit now; `caught_up` when no tick waits, `far_behind` when many do."""

    def seconds_left(self) -> float:
        """Seconds to wait for more ticks, at most, before asking again."""

    def commit(self, *, wait: bool) -> None:
        """Commit what there is, if there is anything; `wait` until nothing is left to commit."""

    def abort(self) -> None:
        """Give up what is not committed, if there is anything; the state in memory must go then, too."""

    @property
    def open(self) -> bool:
        """Whether there is anything that is not committed."""
