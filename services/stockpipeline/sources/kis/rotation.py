"""REST prices in rotation: for symbols that no websocket registration follows."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from stockpipeline.market.ticks import MalformedTick
from stockpipeline.sources.kis.keys import Registration
from stockpipeline.sources.kis.meanings import KisError, Meaning
from stockpipeline.sources.kis.prices import Looks, read_price
from stockpipeline.sources.kis.rest import KisRest
from stockpipeline.sources.live import Sink

# Enough for a slow answer (400 ms) at KIS's limit of 20 a second.
_AT_ONCE = 8
_IDLE_SECONDS = 0.5


class Rotation:
    """Looks at symbols by turns, as fast as the rate limit allows.

    ``due`` returns what to look at now; it is asked again after each round.
    """

    def __init__(
        self,
        source: str,
        rest: KisRest,
        due: Callable[[], Sequence[Registration]],
        looks: Looks,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._source = source
        self._rest = rest
        self._due = due
        self._looks = looks
        self._now_ms = now_ms
        self._round: Iterator[Registration] = iter(())

    async def run(self, sink: Sink) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(self._work(sink))

    async def _work(self, sink: Sink) -> None:
        while True:
            what = self._next() if sink.may_ask(self._source) else None
            if what is None:
                await asyncio.sleep(_IDLE_SECONDS)
            else:
                await self._look(what, sink)

    def _next(self) -> Registration | None:
        what = next(self._round, None)
        if what is None:
            self._round = iter(self._due())
            what = next(self._round, None)
        return what

    async def _look(self, what: Registration, sink: Sink) -> None:
        try:
            answer, seconds = await self._rest.price(what)
        except KisError as error:
            if error.meaning is Meaning.REFUSED:
                sink.failed(self._source, what.symbol, str(error))
            elif error.meaning is not Meaning.RATE_EXCEEDED:
                sink.answered(self._source, None)
            return
        sink.answered(self._source, seconds)
        if what not in self._due():
            # The websocket took it over meanwhile, and brings the same trade.
            return
        try:
            price = read_price(answer, what)
        except MalformedTick as malformed:
            sink.malformed(
                self._source, malformed.reason, str(malformed), repr(answer.get("output")).encode()
            )
            sink.failed(self._source, what.symbol, str(malformed))
            return
        tick = self._looks.tick(what.symbol, price, self._now_ms())
        if tick is None:
            sink.confirmed(self._source, what.symbol)
        else:
            sink.tick(tick)
