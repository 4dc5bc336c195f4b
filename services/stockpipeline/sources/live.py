"""What a live source is, and where it puts what it gets.

A source runs in an event loop until it is cancelled. It reconnects and waits by itself, so it never ends
because of what happens outside; it tells its sink instead, and the fallback chain judges.
"""

from collections.abc import Collection
from typing import Protocol

from stockpipeline.market.bars import BarSeries
from stockpipeline.market.ticks import MalformedReason, Tick


class Sink(Protocol):
    """Takes what a source gets; nothing here waits or raises."""

    def tick(self, tick: Tick) -> None:
        """Take a trade."""

    def confirmed(self, source: str, symbol: str) -> None:
        """Note that the source was asked about a symbol, and nothing had been traded."""

    def failed(self, source: str, symbol: str, reason: str) -> None:
        """Note that the source has nothing usable of a symbol."""

    def answered(self, source: str, seconds: float | None) -> None:
        """Note that a request was answered in this time, or (None) that the source failed as a whole."""

    def may_ask(self, source: str) -> bool:
        """Return whether the source's circuit breaker lets a request through now."""

    def malformed(self, source: str, reason: MalformedReason, message: str, data: bytes) -> None:
        """Keep what cannot be used."""


class LiveSource(Protocol):
    """A source of trades as they are made."""

    @property
    def name(self) -> str:
        """The name in the pipeline, as in ``Tick.source``."""

    def want(self, symbols: Collection[str]) -> None:
        """Say for which of its symbols the source is needed now; it may be lazy about the others."""

    def groups(self) -> Collection[Collection[str]]:
        """Return the symbols that one producer has to serve together, because they share what only one may
        use."""

    async def serve(self, symbols: Collection[str]) -> None:
        """Serve only these of its symbols from now on; return when the connections for others are closed.

        Before the first call, all are served.
        """

    async def history(self, symbol: str, bars: int) -> BarSeries:
        """Return the newest daily bars of a symbol, adjusted, oldest first, up to so many; today's may be
        among them.

        Raises:
            Exception: the source has none, or does not answer; the message says which.
        """

    async def run(self, sink: Sink) -> None:
        """Bring trades until cancelled."""
