"""Live sources that several producers share: connections are closed before their symbols are given free."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.producer.router import wall_ms
from stockpipeline.producer.share.beats import Beats
from stockpipeline.producer.share.duty import Order
from stockpipeline.producer.share.letting_go import LettingGo
from stockpipeline.sources.chain import Chain
from stockpipeline.sources.live import LiveSource

# As short as the event loop may stand still; Kafka usually needs less for all that waits.
_FLUSH_SECONDS = 0.05
_log = structlog.get_logger()


class LiveShare:
    """Brings sources and chain to what this producer has to serve; ``step`` is called by the main loop.

    ``owned`` is told how many symbols that is. ``waiting`` counts the ticks that Kafka's client had no room
    for; ``last_event_times`` reads what anybody has sent of some symbols, in a thread.
    """

    def __init__(
        self,
        beats: Beats,
        sources: Sequence[LiveSource],
        chain: Chain,
        producer: KafkaProducer,
        waiting: Callable[[], int],
        last_event_times: Callable[[Collection[str]], dict[str, int]],
        owned: Callable[[int], None],
    ) -> None:
        self._beats = beats
        self._sources = sources
        self._chain = chain
        self._last_event_times = last_event_times
        self._owned = owned
        self._going = LettingGo(producer, beats.holds, waiting)
        self._leaving: frozenset[str] = frozenset()
        self._taking: frozenset[str] = frozenset()

    async def begin(self) -> None:
        """Serve nothing, before the sources run."""
        await self._serve(set())

    async def step(self) -> None:
        """Do what is to be done now.

        Raises:
            KafkaFatal: the lease ended with ticks that Kafka did not take.
        """
        order = self._beats.order()
        self._taking |= order.take
        if order.leave:
            await self._leave(order)
        elif self._taking:
            await self._take()

    def end(self) -> None:
        """Give all free; Kafka has acknowledged everything."""
        self._beats.left(frozenset(self._beats.units.symbols))

    async def _leave(self, order: Order) -> None:
        self._taking -= order.leave
        stays = self._beats.symbols - self._beats.units.symbols_of(order.leave)
        # Without a lease the router lets nothing through, and connections may take longer than there is time.
        lost = not self._beats.holds()
        if not lost and order.leave != self._leaving:
            await self._serve(stays)
            self._leaving = order.leave
        if self._going.done(_FLUSH_SECONDS):
            if lost:
                await self._serve(stays)
            self._beats.left(order.leave)
            self._leaving = frozenset()

    async def _take(self) -> None:
        taking = self._taking
        try:
            last = await asyncio.to_thread(self._last_event_times, self._beats.units.symbols_of(taking))
        except KafkaUnavailable as error:
            _log.warning("cannot read what was sent before", why=str(error))
            return
        self._taking -= taking
        await self._serve(self._beats.symbols, last)

    async def _serve(self, symbols: set[str], last: Mapping[str, int] | None = None) -> None:
        self._chain.serve(symbols, wall_ms())
        self._chain.resume(last or {})
        for source in self._sources:
            await source.serve(symbols)
        self._owned(len(symbols))
