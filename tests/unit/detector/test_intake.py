"""Which messages reach the core, and what becomes of the others."""

import json

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message
from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.detector.intake import WRONG_PARTITION, Intake
from stockpipeline.market.action_record import encode_action
from stockpipeline.market.corporate_actions import CorporateAction, Rescaling, rescaling
from stockpipeline.market.ticks import MalformedReason, Tick
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.signals.detector import Outcome, TickResult
from stockpipeline.signals.signal import Signal

SIGNAL = Signal("id", "test/demo", "IBM", "rule", "buy", 1.0, 1, "2013-01-02", {}, 1.0, "replay")
TS = 1357137000000


class FakeCore:
    """Answers each tick with the outcome that its price stands for."""

    OUTCOMES = (
        Outcome.ACCEPTED,
        Outcome.OUT_OF_ORDER,
        Outcome.LATE,
        Outcome.DUPLICATE,
        Outcome.UNKNOWN_SYMBOL,
    )

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.actions: list[CorporateAction] = []

    def on_tick(self, tick: Tick) -> TickResult:
        self.ticks.append(tick)
        outcome = self.OUTCOMES[int(tick.price) - 1]
        return TickResult(outcome, (SIGNAL,) if outcome.accepted else ())

    def apply(self, _symbol: str, action: CorporateAction) -> Rescaling | None:
        if action in self.actions:
            return None
        self.actions.append(action)
        return rescaling(action, action.session, close_before=100.0)


class NothingFast:
    """Leaves every message to Python."""

    def __init__(self) -> None:
        self.admitted: dict[int, int] = {}

    def admit(self, partition: int, latest_ms: int) -> None:
        self.admitted[partition] = latest_ms

    def take(self, _messages: list[Message], start: int, _changed: list[str]) -> int:
        return start


class FakeOutput:
    def __init__(self) -> None:
        self.signals: list[tuple[Signal, Message]] = []
        self.letters: list[tuple[Message, str]] = []

    def add_signal(self, signal: Signal, tick: Message) -> None:
        self.signals.append((signal, tick))

    def add_dead_letter(self, message: Message, reason: str, explanation: str) -> None:
        assert explanation
        self.letters.append((message, reason))


class Parts:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.core, self.output = FakeCore(), FakeOutput()
        metrics = DetectorMetrics(self.registry, "demo")
        self.intake = Intake(self.core, NothingFast(), self.output, {"IBM": 0, "AAPL": 1}, metrics)

    def refused(self, reason: str) -> float | None:
        return self.registry.get_sample_value(
            "stockpipeline_detector_refused_ticks_total", {"pipeline": "demo", "reason": reason}
        )


def tick(
    symbol: str = "IBM", price: float = 1, partition: int = 0, ts: int = TS, arrived: int = TS
) -> Message:
    fields = {
        "symbol": symbol,
        "price": price,
        "volume": 1,
        "ts": ts,
        "source": "replay",
        "session": "regular",
    }
    timestamp = (TIMESTAMP_LOG_APPEND_TIME, arrived)
    value = json.dumps(fields).encode()
    return Message("ticks", partition, 7, symbol.encode(), value, timestamp=timestamp)


def test_every_refusal_is_counted_from_zero_on() -> None:
    parts = Parts()
    for reason in (
        *MalformedReason,
        Outcome.LATE,
        Outcome.DUPLICATE,
        Outcome.UNKNOWN_SYMBOL,
        WRONG_PARTITION,
    ):
        assert parts.refused(reason) == 0
    assert parts.refused(Outcome.ACCEPTED) is None


def test_accepted_ticks_change_their_symbol_and_give_signals() -> None:
    parts = Parts()
    messages = [tick(ts=TS), tick("AAPL", 2, partition=1, ts=TS + 5), tick(ts=TS + 9)]
    assert parts.intake.take(messages) == {"IBM", "AAPL"}
    assert [message for _, message in parts.output.signals] == messages
    assert parts.output.letters == []
    assert parts.registry.get_sample_value("stockpipeline_detector_ticks_total", {"pipeline": "demo"}) == 3


def test_late_and_duplicate_ticks_are_only_counted() -> None:
    parts = Parts()
    assert parts.intake.take([tick(price=3), tick(price=4), tick(price=4)]) == set()
    assert (parts.refused("late"), parts.refused("duplicate")) == (1, 2)
    assert parts.output.letters == []


@pytest.mark.parametrize(
    ("message", "reason", "seen_by_core"),
    [
        (Message("ticks", 0, 7, b"IBM", b"nonsense"), "bad-json", False),
        (Message("ticks", 0, 7, b"IBM", None), "bad-json", False),
        (tick(price=-1), "bad-price", False),
        (tick("NOPE"), "unknown-symbol", False),
        (tick("AAPL", partition=0), "wrong-partition", False),
        (tick(price=5), "unknown-symbol", True),
    ],
)
def test_what_is_no_tick_of_the_partition_becomes_a_dead_letter(
    message: Message, reason: str, seen_by_core: bool
) -> None:
    parts = Parts()
    assert parts.intake.take([message]) == set()
    assert parts.output.letters == [(message, reason)]
    assert parts.refused(reason) == 1
    assert bool(parts.core.ticks) == seen_by_core


def test_a_passing_error_is_skipped_and_a_fatal_one_ends_the_process() -> None:
    parts = Parts()
    passing = Message("ticks", 0, error=KafkaError(KafkaError._TRANSPORT, "lost"))
    assert parts.intake.take([passing, tick()]) == {"IBM"}
    fatal = Message("ticks", 0, error=KafkaError(KafkaError._FENCED, "fenced", fatal=True))
    with pytest.raises(KafkaFatal, match="fenced"):
        parts.intake.take([fatal])


def test_a_tick_from_the_future_of_its_arrival_becomes_a_dead_letter() -> None:
    parts = Parts()
    day = 86_400_000
    first, last = tick(ts=TS + day), tick(ts=TS + day + 2, arrived=TS + 1)
    # Another partition's arrivals say nothing about this one's.
    between = tick("AAPL", partition=1, ts=TS + 2 * day, arrived=TS + day)
    assert parts.intake.take([first, between, last]) == {"IBM", "AAPL"}
    assert parts.output.letters == [(last, "bad-time")]
    assert parts.refused("bad-time") == 1


def action_message(symbol: str = "IBM", split: float = 2.0) -> Message:
    value = encode_action(symbol, CorporateAction(15_000, split=split))
    return Message("ticks", 0, 7, symbol.encode(), value, timestamp=(TIMESTAMP_LOG_APPEND_TIME, TS))


def test_a_split_among_the_ticks_changes_its_symbol_once() -> None:
    parts = Parts()
    assert parts.intake.take([action_message(), tick("AAPL", partition=1)]) == {"IBM", "AAPL"}
    assert parts.intake.take([action_message()]) == set()
    assert parts.core.actions == [CorporateAction(15_000, split=2.0)]
    assert parts.refused("duplicate") == 1
    assert parts.output.letters == []


def test_an_impossible_action_and_a_stray_one_become_dead_letters() -> None:
    parts = Parts()
    impossible, stray, unknown = action_message(split=-1.0), action_message("AAPL"), action_message("NOPE")
    assert parts.intake.take([impossible, stray, unknown]) == set()
    reasons = ["bad-action", "wrong-partition", "unknown-symbol"]
    assert parts.output.letters == list(zip((impossible, stray, unknown), reasons, strict=True))
