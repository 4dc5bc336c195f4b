"""From the sources to Kafka: every tick through the chain, what passes to the outbox, what is none to the
dead letters. One thread, the event loop's; nothing here waits."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from stockpipeline.adapters.dead_letter import MAX_EXPLANATION
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.ticks import MalformedReason, MalformedTick, Tick, check_tick, encode_tick
from stockpipeline.producer.outbox import Outbox
from stockpipeline.producer.recorder import Recorder
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.chain import Chain
from stockpipeline.sources.live import LiveSource

_MAX_LETTER_BYTES = 64 * 1024
_log = structlog.get_logger()


def wall_ms() -> int:
    """Return the time in epoch ms."""
    return time.time_ns() // 1_000_000


def always() -> bool:
    """Return True: where one producer sends all symbols, nobody has to be asked."""
    return True


class Router:
    """The `Sink` of all live sources of a producer."""

    def __init__(
        self,
        chain: Chain,
        producer: KafkaProducer,
        dead_letters: str,
        metrics: SourceMetrics,
        recorder: Recorder | None = None,
        now_ms: Callable[[], int] = wall_ms,
        may_send: Callable[[], bool] = always,
    ) -> None:
        self._chain = chain
        self._producer = producer
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._recorder = recorder
        self._now_ms = now_ms
        self._may_send = may_send
        self.outbox = Outbox(self._send)
        self.event_time_ms = 0
        """Exchange time of the newest tick that was sent."""
        self.sent: Counter[str] = Counter()
        """Ticks handed to Kafka's client, by source; whoever reads it may clear it."""
        for source in chain.names:
            metrics.expect(source)

    def tick(self, tick: Tick) -> None:
        """Send a tick, if the chain lets it pass."""
        try:
            check_tick(tick)
        except MalformedTick as malformed:
            self.malformed(tick.source, malformed.reason, str(malformed), repr(tick).encode())
            return
        if not self._may_send():
            self._metrics.dropped(tick.source, "fenced")
            return
        if self._chain.offer(tick, self._now_ms()):
            if self._recorder is not None:
                self._recorder.record(tick)
            self.outbox.put(tick)

    def confirmed(self, source: str, symbol: str) -> None:
        """See `Sink.confirmed`."""
        self._chain.confirmed(source, symbol, self._now_ms())

    def failed(self, source: str, symbol: str, reason: str) -> None:
        """See `Sink.failed`."""
        _log.debug("a symbol failed", source=source, symbol=symbol, why=reason)
        self._chain.failed(source, symbol)

    def answered(self, source: str, seconds: float | None) -> None:
        """See `Sink.answered`."""
        self._chain.answered(source, seconds, self._now_ms())

    def may_ask(self, source: str) -> bool:
        """See `Sink.may_ask`."""
        return self._chain.may_ask(source, self._now_ms())

    def malformed(self, source: str, reason: MalformedReason, message: str, data: bytes) -> None:
        """Send a dead letter; where Kafka has no room for it, only the count is left."""
        self._metrics.dead_letter(source, reason)
        headers: list[tuple[str, str | bytes | None]] = [
            ("reason", reason.value),
            ("message", message[:MAX_EXPLANATION]),
            ("source", source),
        ]
        if len(data) > _MAX_LETTER_BYTES:
            headers.append(("original-size", str(len(data))))
        self._producer.offer(self._dead_letters, source, data[:_MAX_LETTER_BYTES], headers)

    def review(self, sources: Sequence[LiveSource]) -> None:
        """Let the chain decide anew, tell the sources what they are needed for, and set the gauges."""
        now_ms = self._now_ms()
        needed = self._chain.review(now_ms)
        for source in sources:
            source.want(needed[source.name])
        states = self._chain.states(now_ms).values()
        for source in sources:
            served = sum(state.source == source.name for state in states)
            self._metrics.source(source.name, served, self._chain.breaker_state(source.name, now_ms))
        stale = sum(state.stale for state in states)
        silent = max((state.silent_ms for state in states), default=0)
        self._metrics.symbols(len(states) - stale, stale, silent / 1000)
        for (name, why), count in self._chain.dropped.items():
            self._metrics.dropped(name, why, count)
        for name, count in self.outbox.superseded.items():
            self._metrics.dropped(name, "superseded", count)
        for name, count in self._chain.switches.items():
            self._metrics.switched(name, count)
        self._chain.dropped.clear()
        self._chain.switches.clear()
        self.outbox.superseded.clear()
        if self._recorder is not None:
            self._recorder.flush()

    def _send(self, tick: Tick) -> bool:
        if not self._producer.offer(None, tick.symbol, encode_tick(tick)):
            return False
        self.event_time_ms = max(self.event_time_ms, tick.ts)
        self.sent[tick.source] += 1
        self._metrics.latency(tick.source, (self._now_ms() - tick.ts) / 1000)
        return True
