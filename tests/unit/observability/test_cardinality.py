"""4,000 symbols make no more series than 40."""

from __future__ import annotations

import json
from unittest.mock import Mock

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from prometheus_client import CollectorRegistry

from stockpipeline.detector.intake import Intake
from stockpipeline.detector.report import SymbolState, symbol_states
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.producer.router import Router
from stockpipeline.runtime.metrics import DetectorMetrics, PerformanceMetrics, ProducerMetrics
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.signals.detector import Outcome, TickResult
from stockpipeline.sources.chain import Chain, SourceTerms

NOW = 1_700_000_000_000
SOURCES = ("first", "second")


class SignallingCore:
    """Every fourth tick gives a signal, the others meet every way to change nothing."""

    OUTCOMES = (Outcome.ACCEPTED, Outcome.LATE, Outcome.DUPLICATE, Outcome.OUT_OF_ORDER)

    def __init__(self) -> None:
        self.taken = 0

    def on_tick(self, _tick: Tick) -> TickResult:
        self.taken += 1
        return TickResult(self.OUTCOMES[self.taken % 4], ())

    def apply(self, _symbol: str, _action: object) -> None:
        return None


class TakesAll:
    """Kafka's client, which takes whatever it is offered."""

    def offer(self, *_record: object) -> bool:
        return True


def run_producer(registry: CollectorRegistry, symbols: list[str]) -> None:
    clock = [NOW]
    metrics, totals = SourceMetrics(registry, "demo"), ProducerMetrics(registry, "demo")
    chain = Chain(symbols, [SourceTerms(name, 60_000) for name in SOURCES], lambda now: now, NOW)
    router = Router(chain, TakesAll(), "letters", metrics, now_ms=lambda: clock[0])  # type: ignore[arg-type]
    sources = [Mock(), Mock()]
    for source, name in zip(sources, SOURCES, strict=True):
        source.name = name
    for at in (NOW, NOW + 120_000):
        clock[0] = at
        for name in reversed(SOURCES):
            for symbol in symbols:
                for ts in (at, at - 1, at + 3_600_000):
                    router.tick(Tick(symbol, 1.0, 1.0, ts, name, MarketSession.REGULAR))
                router.tick(Tick(symbol, -1.0, 1.0, at, name, MarketSession.REGULAR))
        router.outbox.drain()
        router.review(sources)
    for source, count in router.sent.items():
        totals.sent(source, count)


def run_detector(registry: CollectorRegistry, symbols: list[str]) -> None:
    metrics, earned = DetectorMetrics(registry, "demo"), PerformanceMetrics(registry, "demo")
    fast = Mock()
    fast.take.side_effect = lambda _messages, start, _changed: start
    intake = Intake(SignallingCore(), fast, Mock(), dict.fromkeys(symbols, 0), metrics)
    fields = {"price": 1, "volume": 1, "ts": NOW, "source": "replay", "session": "regular"}
    timestamp = (TIMESTAMP_LOG_APPEND_TIME, NOW)
    values = [json.dumps({"symbol": symbol, **fields}).encode() for symbol in symbols for _ in range(4)]
    intake.take([Message("ticks", 0, 7, b"k", value, timestamp=timestamp) for value in values])
    states = symbol_states(
        symbols, 19_000, lambda _symbol: True, lambda _symbol: 19_000, SessionCalendar("XNAS")
    )
    for state in SymbolState:
        metrics.symbols(state, states[state])
    for rule in ("buys", "sells"):
        metrics.signal("0" * 32, rule, rule[:-1], 0.1)
        earned.reached(rule, "1d", 0.01)
    earned.open_signals({"buys": len(symbols), "sells": len(symbols)})


def series(count: int) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    registry = CollectorRegistry()
    symbols = [f"S{number:04d}" for number in range(count)]
    run_producer(registry, symbols)
    run_detector(registry, symbols)
    return {
        (sample.name, frozenset(sample.labels.items()))
        for metric in registry.collect()
        for sample in metric.samples
    }


def test_4000_symbols_make_no_more_series_than_40() -> None:
    few, many = series(40), series(4000)
    assert many == few
    assert not [labels for _, labels in many if any(value.startswith("S0") for _, value in labels)]
    # Buckets included; what a process says of Python itself comes to it.
    assert len(many) < 250
