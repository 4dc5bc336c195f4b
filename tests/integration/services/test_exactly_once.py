"""Detectors that die, freeze and are replaced, and a state that is lost: what a reader sees of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,  # type: ignore[attr-defined]
)

from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.cli.history import load
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import encode_tick
from stockpipeline.sources.configured import replay_source
from tests.integration.services.comparison import (
    TICKS_PER_BAR,
    TOTAL,
    assert_signals_are_as_expected,
    offsets,
    processed_all,
    signals_in,
    ticks_in,
    ticks_processed,
)
from tests.integration.services.conftest import StartService
from tests.integration.services.support import (
    PARTITIONS,
    SYMBOLS,
    Service,
    create_topic,
    create_topics,
    eventually,
    headers,
    pipeline,
    produce,
    read_all,
)


def _sent(config: PipelineConfig, first: float = 0.0, last: float = 1.0) -> list[tuple[str, bytes]]:
    """Send this part of the replay's ticks, all at once; return them."""
    ticks = list(replay_source(config, SessionCalendar("XNAS")).ticks({}))
    some = ticks[int(first * len(ticks)) : int(last * len(ticks))]
    records = [(tick.symbol, encode_tick(tick)) for tick in some]
    produce(config.bootstrap_servers, config.names.topic(Topic.TICKS), *records)
    return records


def _made(
    name: str, kafka: str, redis: str, delivery: Mapping[str, str] | None = None, **replay: object
) -> PipelineConfig:
    replay = {"ticksPerBar": TICKS_PER_BAR, **replay}
    config = pipeline(name, kafka, redis, replay=replay, delivery=delivery or {})
    create_topics(config)
    assert load(config) == 0
    return config


def _symbols(detector: Service) -> float:
    return detector.metric("stockpipeline_detector_symbols")


def test_a_killed_detector_is_replaced_under_another_name(
    kafka: str, redis: str, start: StartService
) -> None:
    config = _made("replaced", kafka, redis, speed=100_000)
    first, producer = start("detector", config, "first"), start("producer", config)
    eventually(lambda: ticks_processed(config) >= 0.3 * TOTAL, "some ticks are processed")
    # Its transaction stays open on the broker: nobody comes with its transactional id again.
    first.process.kill()
    start("detector", config, "second")
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")
    assert_signals_are_as_expected(config)


def test_a_frozen_detector_that_wakes_up_after_its_partitions_are_gone_adds_nothing(
    kafka: str, redis: str, start: StartService
) -> None:
    config = _made("frozen", kafka, redis, speed=60_000)
    first, producer = start("detector", config, "first"), start("producer", config)
    second = start("detector", config, "second")
    eventually(lambda: 0 < _symbols(first) < len(SYMBOLS), "both have some of the symbols")
    eventually(lambda: ticks_processed(config) >= 0.2 * TOTAL, "some ticks are processed")
    first.process.freeze()
    eventually(lambda: _symbols(second) == len(SYMBOLS), "the other detector has all symbols")
    first.process.thaw()
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")
    assert_signals_are_as_expected(config)


def test_the_older_of_two_detectors_with_one_name_is_fenced_and_adds_nothing(
    kafka: str, redis: str, start: StartService
) -> None:
    config = _made("fenced", kafka, redis)
    same = {"STOCKPIPELINE_INSTANCE": "the-same"}
    older = start("detector", config, "older", same)
    _sent(config, 0.0, 0.5)
    eventually(lambda: processed_all(config), "half of the ticks are processed")
    newer = start("detector", config, "newer", same)
    _sent(config, 0.5, 1.0)
    eventually(lambda: not older.process.running, "the older one ends")
    eventually(lambda: _symbols(newer) == len(SYMBOLS) and newer.ready(), "the newer one has all symbols")
    assert "the detector cannot go on and ends" in older.process.log_tail()
    eventually(lambda: processed_all(config), "all ticks are processed")
    assert_signals_are_as_expected(config)


def test_at_least_once_repeats_some_signals_after_a_kill_and_loses_none(
    kafka: str, redis: str, start: StartService
) -> None:
    seldom = {"guarantee": "AtLeastOnce", "commitInterval": "2s"}
    config = _made("early", kafka, redis, delivery=seldom, speed=60_000)
    detector, producer = start("detector", config), start("producer", config)
    for share in (0.2, 0.5):
        eventually(lambda: ticks_processed(config) >= share * TOTAL, "some ticks are processed")  # noqa: B023
        known = len(signals_in(config))
        # Or all is done before anybody looked, on a machine that was busy in between.
        eventually(
            lambda: len(signals_in(config)) > known or processed_all(config),  # noqa: B023
            "signals come before their commit",
        )
        detector.process.kill()
        detector.process.start()
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")
    assert_signals_are_as_expected(config, repeated=True)


def test_dead_letters_are_written_once_whatever_dies(kafka: str, redis: str, start: StartService) -> None:
    config = _made("letters", kafka, redis)
    detector = start("detector", config)
    topic = config.names.topic(Topic.TICKS)
    sent = []
    for round_number in range(3):
        bad = [("IBM", b"no tick %d/%d" % (round_number, number)) for number in range(2000)]
        sent += [value for _, value in bad]
        already = offsets(config)[1]
        produce(kafka, topic, *bad)
        eventually(lambda: offsets(config)[1] > already, "some are read")  # noqa: B023
        detector.process.kill()
        detector.process.start()
    eventually(lambda: processed_all(config), "all are read")
    letters = read_all(kafka, config.names.topic(Topic.DEAD_LETTER))
    assert Counter(letter.value() for letter in letters) == Counter(sent)
    places = Counter((headers(letter)["partition"], headers(letter)["offset"]) for letter in letters)
    assert max(places.values()) == 1


def test_a_lost_state_topic_stops_the_detector_until_somebody_decides(
    kafka: str, redis: str, start: StartService
) -> None:
    config = _made("lost", kafka, redis)
    detector = start("detector", config)
    sent = _sent(config, 0.0, 0.5)
    eventually(lambda: processed_all(config), "half of the ticks are processed")
    detector.process.stop()
    admin = AdminClient({"bootstrap.servers": kafka})
    state = config.names.topic(Topic.STATE)
    admin.delete_topics([state])[state].result(20)
    eventually(lambda: state not in admin.list_topics(timeout=20).topics, "the state is gone")
    create_topic(kafka, NewTopic(state, PARTITIONS, 1, config={"cleanup.policy": "compact"}))
    sent += _sent(config, 0.5, 1.0)

    detector.process.start()
    eventually(
        lambda: f"the state topic {state} has lost records" in detector.checks()["state"], "it is said"
    )
    assert f"delete the consumer group {config.names.consumer_group}" in detector.checks()["state"]
    assert ticks_processed(config) < len(sent)

    detector.process.stop()
    group = config.names.consumer_group
    admin.delete_consumer_groups([group])[group].result(20)
    # All ticks are still in the topic: begun anew from the first, it ends where it would have been.
    signals = config.names.topic(Topic.SIGNALS)
    before = {message.value() for message in read_all(kafka, signals)}
    detector.process.start()
    eventually(lambda: processed_all(config), "all ticks are processed")
    assert before < {message.value() for message in read_all(kafka, signals)}


def test_a_consumer_group_that_was_deleted_or_set_back_changes_nothing(
    kafka: str, redis: str, start: StartService
) -> None:
    config = _made("group", kafka, redis)
    detector = start("detector", config)
    _sent(config, 0.0, 0.5)
    eventually(lambda: processed_all(config), "half of the ticks are processed")
    detector.process.stop()
    group = config.names.consumer_group
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_consumer_groups([group])[group].result(20)
    _sent(config, 0.5, 1.0)
    detector.process.start()
    eventually(lambda: processed_all(config), "all ticks are processed")
    assert_signals_are_as_expected(config)
    assert detector.metric("stockpipeline_detector_refused_ticks_total") == 0


def test_a_replay_whose_ticks_are_past_retention_does_not_begin_again(
    kafka: str, redis: str, start: StartService
) -> None:
    config = _made("aged", kafka, redis)
    detector, producer = start("detector", config), start("producer", config)
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "all ticks are sent")
    eventually(lambda: processed_all(config), "all ticks are processed")
    producer.process.stop()
    _delete_all_ticks(config)
    assert ticks_in(config) == []
    producer.process.start()
    eventually(lambda: producer.metric("stockpipeline_producer_exhausted") == 1, "the producer is through")
    assert ticks_in(config) == []
    assert detector.ready()


def _delete_all_ticks(config: PipelineConfig) -> None:
    """Delete the records as retention does: the offsets go on."""
    topic = config.names.topic(Topic.TICKS)
    places = [TopicPartition(topic, partition, OFFSET_END) for partition in range(PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": config.bootstrap_servers})
    for future in admin.delete_records(places).values():
        future.result(20)
