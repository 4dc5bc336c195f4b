"""A sink that keeps what it gets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stockpipeline.market.ticks import MalformedReason, Tick
from stockpipeline.sources.live import LiveSource
from tests.integration.services.support import eventually


class KeepingSink:
    """Keeps everything, in order."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.confirmations: list[str] = []
        self.failures: list[tuple[str, str]] = []
        self.answers: list[float | None] = []
        self.letters: list[tuple[MalformedReason, bytes]] = []
        self.asking = True

    def tick(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def confirmed(self, source: str, symbol: str) -> None:
        self.confirmations.append(symbol)

    def failed(self, source: str, symbol: str, reason: str) -> None:
        self.failures.append((symbol, reason))

    def answered(self, source: str, seconds: float | None) -> None:
        self.answers.append(seconds)

    def may_ask(self, source: str) -> bool:
        return self.asking

    def malformed(self, source: str, reason: MalformedReason, message: str, data: bytes) -> None:
        self.letters.append((reason, data))

    def prices(self, symbol: str) -> list[float]:
        return [tick.price for tick in self.ticks if tick.symbol == symbol]

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        eventually(condition, what, seconds=60)


@contextmanager
def running(source: LiveSource, sink: KeepingSink) -> Iterator[None]:
    """Run a source in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(source.run(sink))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])), daemon=True)
    thread.start()
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(60)
        assert not thread.is_alive()
        loop.close()
