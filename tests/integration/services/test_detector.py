"""What the detector does with what it should not get, and while something is missing."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.adapters.kafka_partitioning import partition_of
from stockpipeline.api import Topic
from stockpipeline.cli import main
from stockpipeline.cli.history import load
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import encode_tick
from stockpipeline.sources.configured import replay_source
from tests.integration.servers.redis import running_server
from tests.integration.services.comparison import (
    TICKS_PER_BAR,
    assert_signals_are_as_expected,
    processed_all,
    signals_in,
)
from tests.integration.services.conftest import StartService
from tests.integration.services.support import (
    PARTITIONS,
    create_topics,
    eventually,
    headers,
    pipeline,
    produce,
    read_all,
)


def _tick(**changes: object) -> bytes:
    tick = {
        "symbol": "IBM",
        "price": 1.0,
        "volume": 1,
        "ts": 1357137000000,
        "source": "replay",
        "session": "regular",
    }
    return json.dumps({**tick, **changes}).encode()


MALFORMED = {
    "bad-json": b'{"symbol": "IBM", "pri',
    "bad-fields": b'{"symbol": "IBM"}',
    "bad-price": _tick(price=-1.0),
    "bad-volume": _tick(volume=-5),
    "bad-time": _tick(ts=1357137000000000),
    "bad-sequence": _tick(seq=0),
    "unknown-symbol": _tick(symbol="NOPE"),
}
NOT_EVEN_TEXT = b"\xff\xfe\x00"
DEEP = b'{"extra":' + b"[" * 100_000
AS_LARGE_AS_CAN_BE_SENT = _tick(symbol="x" * 999_000)


def test_what_is_no_tick_goes_to_the_dead_letters_and_changes_nothing(
    kafka: str, redis: str, start: StartService
) -> None:
    config = pipeline("malformed", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR})
    create_topics(config)
    assert load(config) == 0
    topic = config.names.topic(Topic.TICKS)
    ticks = list(replay_source(config, SessionCalendar("XNAS")).ticks({}))
    good = [(tick.symbol, encode_tick(tick)) for tick in ticks]
    third = len(good) // 3
    bad = [("IBM", value) for value in MALFORMED.values()]
    produce(kafka, topic, *good[:third], *bad, *good[third : 2 * third])
    produce(kafka, topic, (None, NOT_EVEN_TEXT), (None, DEEP), (None, AS_LARGE_AS_CAN_BE_SENT), partition=0)
    produce(kafka, topic, ("IBM", _tick()), partition=1 - partition_of("IBM", PARTITIONS))
    produce(kafka, topic, *good[2 * third :])
    detector = start("detector", config)
    eventually(lambda: processed_all(config), "all ticks are processed")

    letters = {
        (headers(message)["reason"], message.value()): message
        for message in read_all(kafka, config.names.topic(Topic.DEAD_LETTER))
    }
    assert letters.keys() == {
        *MALFORMED.items(),
        ("bad-json", NOT_EVEN_TEXT),
        ("bad-json", DEEP),
        ("bad-symbol", AS_LARGE_AS_CAN_BE_SENT),
        ("wrong-partition", _tick()),
    }
    by_place = {(message.partition(), message.offset()): message for message in read_all(kafka, topic)}
    for letter in letters.values():
        found = headers(letter)
        original = by_place[int(found["partition"]), int(found["offset"])]
        assert (found["topic"], original.value(), original.key()) == (topic, letter.value(), letter.key())
        assert found["message"]
    assert_signals_are_as_expected(config, [json.loads(value) for _, value in good])
    assert detector.metric("stockpipeline_detector_refused_ticks_total") == len(MALFORMED) + 4


def test_a_split_that_was_told_of_is_applied_once(
    kafka: str, redis: str, start: StartService, tmp_path: Path
) -> None:
    config = pipeline("split", kafka, redis)
    create_topics(config)
    assert load(config) == 0
    file = tmp_path / "pipeline.json"
    file.write_text(config.to_json())
    action = ["action", "--config", str(file), "--symbol", "AAPL", "--date", "2013-01-02", "--split", "2"]
    assert main(action) == 0
    detector = start("detector", config)
    eventually(lambda: processed_all(config), "the split is read")
    assert detector.metric("stockpipeline_detector_ticks_total") == 1
    assert detector.metric("stockpipeline_detector_refused_ticks_total") == 0
    assert main(action) == 0
    eventually(lambda: detector.metric("stockpipeline_detector_ticks_total") == 2, "it is read again")
    duplicates = 'stockpipeline_detector_refused_ticks_total{pipeline="split",reason="duplicate"} 1.0'
    eventually(lambda: duplicates in detector.get("/metrics")[1], "it is known")
    assert read_all(kafka, config.names.topic(Topic.DEAD_LETTER)) == []
    state = read_all(kafka, config.names.topic(Topic.STATE))
    assert [message.key() for message in state if message.key() != b"/next"] == [b"AAPL"]


def test_the_detector_waits_for_redis_and_for_history(
    kafka: str, start: StartService, tmp_path: Path
) -> None:
    with running_server(tmp_path) as server:
        config = pipeline("waiting", kafka, server.url, replay={"start": "2013-02-01", "ticksPerBar": 10})
        create_topics(config)
        server.kill()
        start("producer", config)
        detector = start("detector", config)
        eventually(
            lambda: f"Redis at {server.url} cannot be used" in detector.checks()["state"], "Redis is missed"
        )
        server.start()
        eventually(lambda: "has no history of" in detector.checks()["state"], "history is missed")
        assert "stockpipeline history load" in detector.checks()["state"]
        assert detector.get("/healthz")[0] == 200
        assert signals_in(config) == []
        assert load(config) == 0
        eventually(detector.ready, "the detector is ready")
        eventually(lambda: processed_all(config), "all ticks are processed")
        assert signals_in(config)
        eventually(lambda: 'state="ready"} 5.0' in detector.get("/metrics")[1], "all symbols are ready")
        # A history that changes under a running detector is taken, and ticks that were counted stay counted.
        given, ticks = signals_in(config), detector.metric("stockpipeline_detector_ticks_total")
        with closing(HistoryStore(server.url, config.names)) as store:
            history = store.get_many(["IBM"])["IBM"]
            assert history is not None
            store.put_many({"IBM": history.last(len(history) - 1)})
        eventually(
            lambda: "history is another one than before" in detector.process.log.read_text(),
            "the history is taken",
        )
        eventually(detector.ready, "the detector is ready again")
        assert signals_in(config) == given
        assert detector.metric("stockpipeline_detector_ticks_total") == ticks
