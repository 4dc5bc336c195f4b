"""A replay that several producers share: each plays its symbols, and goes on with those it takes over."""

from collections.abc import Callable, Collection, Iterator, Mapping

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.ticks import Tick
from stockpipeline.producer.frame import Frame
from stockpipeline.producer.loop import ProducerLoop
from stockpipeline.producer.share.beats import Beats
from stockpipeline.producer.share.duty import Order
from stockpipeline.producer.share.letting_go import LettingGo
from stockpipeline.sources import Source
from stockpipeline.sources.pacing import Pacer

_FLUSH_SECONDS = 0.2
_STAND_BY_SECONDS = 0.2
_NOTHING = Order(frozenset(), frozenset())


class SharedReplay:
    """Plays this producer's share.

    ``source_of`` makes the replay of some symbols; ``last_numbers`` says what was sent of them by anybody, or
    None when told to stop. The pacer is one for all shares, so what was taken over late catches up.
    """

    def __init__(
        self,
        frame: Frame,
        beats: Beats,
        producer: KafkaProducer,
        pacer: Pacer,
        source_of: Callable[[Collection[str]], Source],
        last_numbers: Callable[[Collection[str]], dict[str, int] | None],
    ) -> None:
        self._frame = frame
        self._beats = beats
        self._producer = producer
        self._pacer = pacer
        self._source_of = source_of
        self._last_numbers = last_numbers
        self._order = _NOTHING

    def run(self) -> None:
        """Play until told to stop.

        Raises:
            KafkaFatal: Kafka refused a tick for good, or the lease ended with ticks that it did not take.
        """
        frame, beats = self._frame, self._beats
        while frame.keep_waiting():
            self._let_go(self._order.leave)
            mine = beats.symbols
            # First of all: whoever sees that symbols were taken must not take them for played.
            frame.metrics.exhausted.set(0)
            frame.metrics.owned_symbols.set(len(mine))
            self._order = _NOTHING
            if not mine:
                self._stand_by()
                continue
            after = self._last_numbers(mine)
            if after is None:
                break
            ProducerLoop(
                _Fenced(self._source_of(mine), beats.holds),
                self._pacer,
                self._producer,
                frame.metrics,
                frame.readiness,
                frame.heartbeat,
                frame.shutdown,
                self._stays,
            ).play(after)
        if self._producer.flush(frame.shutdown.remaining_seconds()) == 0:
            beats.left(frozenset(beats.units.symbols))

    def _stand_by(self) -> None:
        """Wait for a share."""
        frame = self._frame
        while self._stays():
            frame.metrics.exhausted.set(self._beats.stands_by())
            if frame.wait(_STAND_BY_SECONDS):
                return

    def _stays(self) -> bool:
        if self._order == _NOTHING:
            self._order = self._beats.order()
        return self._order == _NOTHING

    def _let_go(self, which: frozenset[str]) -> None:
        if not which:
            return
        going = LettingGo(self._producer, self._beats.holds)
        while not going.done(_FLUSH_SECONDS):
            if not self._frame.keep_waiting():
                return
        self._beats.left(which)


class _Fenced:
    """A source that ends as soon as the lease does, also in a process that was frozen for a while."""

    def __init__(self, source: Source, holds: Callable[[], bool]) -> None:
        self.name = source.name
        self._source = source
        self._holds = holds

    def ticks(self, after: Mapping[str, int]) -> Iterator[Tick]:
        """Yield the source's ticks."""
        holds = self._holds
        for tick in self._source.ticks(after):
            if not holds():
                return
            yield tick
