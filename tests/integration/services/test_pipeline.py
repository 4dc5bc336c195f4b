"""Replay → Kafka → detector → signals on real servers, against signals that were computed another way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stockpipeline.api import PipelineConfig
from stockpipeline.cli.history import load
from tests.integration.servers.kafka import running_broker
from tests.integration.services.comparison import (
    TICKS_PER_BAR,
    TOTAL,
    assert_signals_are_as_expected,
    assert_ticks_are_complete,
    processed_all,
    signals_in,
    ticks_in,
    ticks_processed,
    ticks_sent,
)
from tests.integration.services.conftest import StartService
from tests.integration.services.support import SYMBOLS, Service, create_topics, eventually, pipeline


def test_signals_equal_those_of_an_independent_computation(
    kafka: str, redis: str, start: StartService
) -> None:
    config = pipeline("parity", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR})
    create_topics(config)
    assert load(config) == 0
    detector, producer = start("detector", config), start("producer", config)
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")

    assert_ticks_are_complete(ticks_in(config))
    assert_signals_are_as_expected(config)

    assert producer.ready()
    assert producer.metric("stockpipeline_producer_ticks_total") == TOTAL
    assert detector.metric("stockpipeline_detector_ticks_total") == TOTAL
    # What is committed is counted a moment after others can see it.
    signals = len(signals_in(config))
    for counted in ("signals_total", "tick_to_signal_seconds_count"):
        metric = f"stockpipeline_detector_{counted}"
        eventually(partial(_reaches, detector, metric, signals), f"{signals} are counted in {metric}")
    eventually(lambda: detector.metric("stockpipeline_detector_lag_records") == 0, "no lag is left")
    eventually(
        lambda: detector.metric("stockpipeline_detector_symbols") == len(SYMBOLS), "symbols are counted"
    )
    assert detector.ready()


def _reaches(service: Service, metric: str, value: float) -> bool:
    return service.metric(metric) == value


def _reached(config: PipelineConfig, progress: Callable[[PipelineConfig], int], wanted: int) -> bool:
    return progress(config) >= wanted


def test_killed_services_lose_nothing_and_repeat_nothing(kafka: str, redis: str, start: StartService) -> None:
    config = pipeline("kills", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR, "speed": 100_000})
    create_topics(config)
    assert load(config) == 0
    detector, producer = start("detector", config), start("producer", config)
    chance = random.Random(7)
    victims = {0.1: producer, 0.2: detector, 0.4: producer, 0.5: detector, 0.7: detector}
    for share, victim in victims.items():
        progress = ticks_sent if victim is producer else ticks_processed
        wanted = int(share * TOTAL)
        eventually(partial(_reached, config, progress, wanted), f"{wanted} {progress.__name__}")
        time.sleep(chance.uniform(0.0, 0.15))  # not a wait: the kill shall hit any point of a transaction
        victim.process.kill()
        victim.process.start()
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")

    assert_ticks_are_complete(ticks_in(config))
    assert_signals_are_as_expected(config)


def test_partitions_move_between_detectors_without_a_trace(
    kafka: str, redis: str, start: StartService
) -> None:
    config = pipeline("moves", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR, "speed": 100_000})
    create_topics(config)
    assert load(config) == 0
    first, producer = start("detector", config, "first"), start("producer", config)
    eventually(lambda: ticks_sent(config) >= 0.2 * TOTAL, "a fifth of the ticks is sent")
    second = start("detector", config, "second")

    def symbols_of(detector: Service) -> float:
        return detector.metric("stockpipeline_detector_symbols")

    eventually(lambda: 0 < symbols_of(second) < len(SYMBOLS), "the second detector has some of the symbols")
    eventually(lambda: symbols_of(first) + symbols_of(second) == len(SYMBOLS), "each symbol is somewhere")
    eventually(lambda: ticks_sent(config) >= 0.6 * TOTAL, "more ticks are sent")
    first.process.stop()
    assert '"event": "stopped"' in first.process.log_tail()
    eventually(lambda: symbols_of(second) == len(SYMBOLS), "the second detector has all symbols")
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")

    assert_ticks_are_complete(ticks_in(config))
    assert_signals_are_as_expected(config)


def test_a_broker_that_crashes_costs_time_only(redis: str, start: StartService, tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        config = pipeline(
            "outage", broker.bootstrap, redis, replay={"ticksPerBar": TICKS_PER_BAR, "speed": 75_000}
        )
        assert load(config) == 0
        broker.kill()
        detector, producer = start("detector", config), start("producer", config)
        both = (detector, producer)

        def both_say(text: str) -> bool:
            return all(text in service.checks()["kafka"] for service in both)

        eventually(lambda: both_say(f"Kafka at {broker.bootstrap} cannot be reached"), "no broker is there")
        assert [service.get("/healthz")[0] for service in both] == [200, 200], "waiting is no reason to die"
        broker.start()
        eventually(lambda: both_say("there is no topic test.outage.ticks"), "the topics are missing")
        create_topics(config)
        eventually(lambda: ticks_processed(config) >= 0.3 * TOTAL, "some ticks are processed")

        broker.kill()
        eventually(lambda: both_say(broker.bootstrap), "the outage is noticed")
        broker.start()
        eventually(lambda: detector.ready() and producer.ready(), "both go on")
        eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
        eventually(lambda: processed_all(config), "all ticks are processed")

        assert_ticks_are_complete(ticks_in(config))
        assert_signals_are_as_expected(config)
