"""Failures in random order, from a seed: whatever they are, a reader sees what it would have seen without.

CI runs a few. For many: `STOCKPIPELINE_FAILURE_SEEDS=50 STOCKPIPELINE_FAILURES=30 pytest` this file.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stockpipeline.api import PipelineConfig
from stockpipeline.cli.history import load
from tests.integration.servers.kafka import Broker, running_broker
from tests.integration.servers.process import ServerError
from tests.integration.services.comparison import (
    TICKS_PER_BAR,
    TOTAL,
    assert_signals_are_as_expected,
    assert_ticks_are_complete,
    processed_all,
    ticks_in,
    ticks_processed,
)
from tests.integration.services.conftest import StartService
from tests.integration.services.support import Service, create_topics, eventually, pipeline

SEEDS = int(os.environ.get("STOCKPIPELINE_FAILURE_SEEDS", "1"))
FAILURES = int(os.environ.get("STOCKPIPELINE_FAILURES", "5"))


@dataclass
class Crew:
    """The services of a pipeline and what can happen to them."""

    config: PipelineConfig
    broker: Broker
    chance: random.Random
    start: StartService
    detectors: list[Service] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    _names: int = 0

    def __post_init__(self) -> None:
        self.producer = self.start("producer", self.config)
        self.add_detector()
        self.add_detector()

    def add_detector(self) -> None:
        """A detector more."""
        self._names += 1
        self.detectors.append(self.start("detector", self.config, f"detector-{self._names}"))

    def revive(self) -> bool:
        """Start anew what ended by itself, as Kubernetes does; return whether all of it runs."""
        for service in (self.producer, *self.detectors):
            if not service.process.running:
                with contextlib.suppress(ServerError):  # it may end again
                    service.process.start()
        return all(service.process.running for service in (self.producer, *self.detectors))

    def all_sent(self) -> bool:
        """Whether the producer says that it is through."""
        try:
            return self.producer.metric("stockpipeline_producer_exhausted") == 1
        except OSError:  # it has just ended
            return False

    def kill_detector(self) -> None:
        """A detector dies and comes again under its name."""
        victim = self.chance.choice(self.detectors)
        victim.process.kill()
        victim.process.start()

    def replace_detector(self) -> None:
        """A detector dies, and another one comes."""
        self.detectors.pop(self.chance.randrange(len(self.detectors))).process.kill()
        self.add_detector()

    def stop_detector(self) -> None:
        """One detector fewer, unless it is the last."""
        if len(self.detectors) > 1:
            self.detectors.pop(self.chance.randrange(len(self.detectors))).process.stop()

    def more_detectors(self) -> None:
        """One detector more."""
        if len(self.detectors) < 3:
            self.add_detector()

    def freeze_detector(self) -> None:
        """A detector stands still for longer than its session with the group lasts."""
        victim = self.chance.choice(self.detectors)
        victim.process.freeze()
        time.sleep(8.0)  # not a wait: the time that the failure takes
        victim.process.thaw()

    def kill_producer(self) -> None:
        """The producer dies and comes again."""
        self.producer.process.kill()
        self.producer.process.start()

    def crash_broker(self) -> None:
        """The broker dies and comes again."""
        self.broker.restart()

    def fail(self) -> None:
        """Let something happen."""
        failures: list[Callable[[], None]] = [
            self.kill_detector, self.kill_detector, self.replace_detector, self.stop_detector,
            self.more_detectors, self.freeze_detector, self.kill_producer, self.crash_broker,
        ]  # fmt: skip
        failure = self.chance.choice(failures)
        self.happened.append(failure.__name__)
        failure()


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_no_failure_leaves_a_trace(redis: str, start: StartService, tmp_path: Path, seed: int) -> None:
    with running_broker(tmp_path) as broker:
        config = pipeline(
            f"failures-{seed}",
            broker.bootstrap,
            redis,
            replay={"ticksPerBar": TICKS_PER_BAR, "speed": 60_000},
        )
        create_topics(config)
        assert load(config) == 0
        crew = Crew(config, broker, random.Random(seed), start)
        for number in range(FAILURES):
            wanted = int(0.8 * TOTAL * number / FAILURES)

            def reached(wanted: int = wanted) -> bool:
                return crew.revive() and ticks_processed(config) >= wanted

            eventually(reached, f"{wanted} ticks are processed after {crew.happened}")
            time.sleep(crew.chance.uniform(0.0, 0.15))  # not a wait: any point of a transaction
            crew.fail()

        def done() -> bool:
            return crew.revive() and crew.all_sent() and processed_all(config)

        eventually(done, f"all ticks are processed after {crew.happened}")
        assert_ticks_are_complete(ticks_in(config))
        assert_signals_are_as_expected(config)
