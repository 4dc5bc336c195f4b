"""The performance of signals through Kafka and Redis, with kills on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.cli.history import load
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import Tick, encode_tick
from stockpipeline.signals.judged import JudgedDetector
from stockpipeline.signals.performance.judge import measures_of
from stockpipeline.signals.performance.record import encode_performance
from stockpipeline.sources.configured import replay_source
from tests.integration.services.comparison import (
    TICKS_PER_BAR,
    assert_signals_are_as_expected,
    processed_all,
    ticks_processed,
)
from tests.integration.services.conftest import StartService
from tests.integration.services.support import (
    PARTITIONS,
    create_topics,
    eventually,
    pipeline,
    produce,
    read_all,
    values,
)

PERFORMANCE = {
    "horizons": ["2h", "1d"],
    "costs": {"commissionBps": 1, "slippageBps": 4},
    "benchmark": "IBM",
}


def expected(config: PipelineConfig, ticks: Iterable[Tick]) -> dict[str, dict[str, Any]]:
    """The performance by signal after one run without stops; unit tests hold it to hand-made figures."""
    spec = config.spec
    assert spec.performance is not None
    calendar = SessionCalendar(spec.universe.exchange)
    detector = JudgedDetector(
        f"test/{config.name}", spec.indicators, spec.rules, calendar, measures_of(spec.performance),
        own_benchmark=True,
    )  # fmt: skip
    source = replay_source(config, calendar)
    for symbol in spec.universe.symbols:
        detector.warm_up(symbol, source.history(symbol))
    for tick in ticks:
        detector.on_tick(tick)
    return {record.id: json.loads(encode_performance(record)) for record in detector.results()}


def closed_in(config: PipelineConfig) -> list[dict[str, Any]]:
    """All final records in the topic, repeated ones as well."""
    records = values(read_all(config.bootstrap_servers, config.names.topic(Topic.PERFORMANCE)))
    return [record for record in records if record["status"] == "closed"]


@pytest.mark.parametrize("guarantee", ["ExactlyOnce", "AtLeastOnce"])
def test_final_figures_are_those_of_an_uninterrupted_run(
    kafka: str, redis: str, start: StartService, tmp_path: Path, guarantee: str
) -> None:
    config = pipeline(
        f"judged-{guarantee.lower()}", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR},
        performance=PERFORMANCE, delivery={"guarantee": guarantee},
    )  # fmt: skip
    create_topics(config)
    assert load(config) == 0
    ticks = list(replay_source(config, SessionCalendar("XNAS")).ticks({}))
    wanted = expected(config, ticks)
    final = {name: record for name, record in wanted.items() if record["status"] == "closed"}
    assert len(final) > 60
    assert all(result["excess"] is not None for one in final.values() for result in one["horizons"].values())

    records = [(tick.symbol, encode_tick(tick)) for tick in ticks]
    third = len(records) // 3
    topic = config.names.topic(Topic.TICKS)
    detector = start("detector", config)
    for part in (records[:third], records[third : 2 * third]):
        before = ticks_processed(config)
        produce(kafka, topic, *part)
        eventually(lambda before=before: ticks_processed(config) > before, "some ticks are processed")
        detector.process.kill()
        detector.process.start()
    produce(kafka, topic, *records[2 * third :])
    eventually(lambda: processed_all(config), "all ticks are processed")
    eventually(
        lambda: {one["id"] for one in closed_in(config)} == final.keys(),
        "all final figures are there: the last ones wait for the benchmark",
    )

    found = closed_in(config)
    assert max(Counter(one["id"] for one in found).values()) == 1
    assert {one["id"]: one for one in found} == final
    if guarantee == "ExactlyOnce":
        assert_signals_are_as_expected(config)
    everything = {one["id"]: one for one in values(read_all(kafka, config.names.topic(Topic.PERFORMANCE)))}
    for name, record in wanted.items():
        if record["status"] == "open":
            assert everything[name]["horizons"] == record["horizons"]
            assert everything[name]["entry"] == record["entry"]

    store = Redis.from_url(redis)
    open_ones = {name for name, record in wanted.items() if record["status"] != "closed"}

    def shown() -> bool:
        keys = [config.names.open_performance_key(number) for number in range(PARTITIONS)]
        names = {name.decode() for key in keys for name in store.hkeys(key)}
        return names == open_ones

    eventually(shown, "the live view has the open signals")
    keys = [config.names.closed_performance_key(number) for number in range(PARTITIONS)]
    members = [json.loads(one) for key in keys for one in store.zrange(key, 0, -1)]
    assert {one["id"]: one for one in members} == final
    assert detector.metric("stockpipeline_signal_net_return_ratio_count") > 0
    assert detector.metric("stockpipeline_signal_open_signals") > 0
    store.delete(*keys, *[config.names.open_performance_key(number) for number in range(PARTITIONS)])
    detector.process.kill()
    detector.process.start()
    eventually(shown, "the live view is written anew from the state")
