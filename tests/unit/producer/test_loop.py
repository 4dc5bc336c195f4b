"""The producer's main loop, with a Kafka that can be slow."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import Tick, decode_tick
from stockpipeline.producer.loop import ProducerLoop
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.sources.pacing import Pacer
from stockpipeline.sources.replay import ReplaySource

CALENDAR = SessionCalendar("XNAS")


class FakeConnection:
    trouble: str | None = None


class FakeKafka:
    """Takes messages; `room` says how many before its queue is full."""

    def __init__(self, room: float = float("inf")) -> None:
        self.connection = FakeConnection()
        self.room = room
        self.ticks: list[Tick] = []
        self.unacknowledged = 0

    def send(self, key: str, value: bytes, keep_waiting: Callable[[], bool]) -> bool:
        while len(self.ticks) >= self.room:
            if not keep_waiting():
                return False
        self.ticks.append(decode_tick(value))
        assert self.ticks[-1].symbol == key
        return True

    def poll(self, seconds: float = 0.0) -> None:
        pass

    def flush(self, _seconds: float) -> int:
        return self.unacknowledged

    def __len__(self) -> int:
        return self.unacknowledged


class Parts:
    def __init__(self, kafka: FakeKafka, speed: float = 0) -> None:
        self.kafka = kafka
        self.registry = CollectorRegistry()
        self.readiness = Readiness(["kafka"])
        self.shutdown = Shutdown(1)
        bars = {symbol: packaged_bars(symbol) for symbol in ("AAPL", "IBM")}
        source = ReplaySource("replay", bars, CALENDAR, date(2013, 2, 25), ticks_per_bar=4)
        self.expected = list(source.ticks({}))
        self.loop = ProducerLoop(
            source,
            Pacer(CALENDAR, speed),
            cast(KafkaProducer, kafka),
            ProducerMetrics(self.registry, "demo"),
            self.readiness,
            Heartbeat(),
            self.shutdown,
        )

    def metric(self, name: str) -> float | None:
        labels = {"pipeline": "demo", **({"source": "replay"} if name == "ticks_total" else {})}
        return self.registry.get_sample_value(f"stockpipeline_producer_{name}", labels)

    def stop_when(self, condition: Callable[[], bool]) -> None:
        """Ask for the end as soon as the loop looks around and the condition holds."""
        poll = self.kafka.poll

        def look(seconds: float = 0.0) -> None:
            poll(seconds)
            if condition():
                self.shutdown.request()

        self.kafka.poll = look  # type: ignore[method-assign]


def test_all_ticks_are_sent_and_then_it_idles() -> None:
    parts = Parts(FakeKafka())
    parts.stop_when(lambda: parts.metric("exhausted") == 1)
    parts.loop.run({})
    assert parts.kafka.ticks == parts.expected
    assert parts.metric("ticks_total") == len(parts.expected) == 2 * 5 * 4
    assert parts.metric("event_time_seconds") == parts.expected[-1].ts / 1000
    assert parts.readiness.ready


@pytest.mark.parametrize("speed", [1e9, 0])
def test_a_replay_at_a_speed_is_open_while_it_plays(speed: float) -> None:
    parts = Parts(FakeKafka(), speed)
    seen: set[tuple[float | None, float | None]] = set()

    def look() -> bool:
        seen.add((parts.metric("exhausted"), parts.metric("session_open")))
        return parts.metric("exhausted") == 1

    parts.kafka.unacknowledged = 1  # it has all ticks, and has yet to acknowledge one
    parts.stop_when(lambda: look() or bool(seen and setattr(parts.kafka, "unacknowledged", 0)))
    parts.loop.run({})
    assert seen == {(0, 1 if speed else 0), (1, 0)}


def test_it_goes_on_after_the_numbers_that_were_sent() -> None:
    parts = Parts(FakeKafka())
    parts.stop_when(lambda: parts.metric("exhausted") == 1)
    after: Mapping[str, int] = {"AAPL": 7}
    parts.loop.run(after)
    assert parts.kafka.ticks == [
        tick for tick in parts.expected if (tick.seq or 0) > after.get(tick.symbol, 0)
    ]


def test_it_is_not_exhausted_before_everything_is_acknowledged() -> None:
    parts = Parts(FakeKafka())
    parts.kafka.unacknowledged = 1
    parts.stop_when(lambda: len(parts.kafka.ticks) == len(parts.expected))
    parts.loop.run({})
    assert parts.metric("exhausted") == 0


@pytest.mark.parametrize("speed", [0, 1])
def test_a_stop_ends_the_wait_for_kafka_and_for_time(speed: float) -> None:
    parts = Parts(FakeKafka(room=3 if speed == 0 else float("inf")), speed)
    parts.kafka.connection.trouble = "Kafka at kafka:9092 cannot be reached"
    parts.stop_when(lambda: True)
    parts.loop.run({})
    assert len(parts.kafka.ticks) <= 3
    assert parts.readiness.reasons() == {"kafka": "Kafka at kafka:9092 cannot be reached"}
