"""The producer with live sources: stand-ins for the outside, real Kafka and Redis, a process of its own."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.cli.history import load
from stockpipeline.market.sessions import session_from_date
from stockpipeline.market.ticks import decode_tick
from tests.integration.servers.kafka import running_broker
from tests.integration.services.clock import CLOSED, OPEN, ahead
from tests.integration.services.conftest import StartService
from tests.integration.services.support import create_topics, eventually, pipeline, read_all, values
from tests.stand_ins.kis import KisServer
from tests.stand_ins.yahoo import YahooServer

TODAY = datetime.now(UTC).date()


@pytest.fixture
def kis() -> Iterator[KisServer]:
    with KisServer(heartbeat_seconds=1.0) as server:
        server.faults.skew_seconds = ahead(CLOSED)
        # Redis, which all tests share, remembers when a token was asked for: with one appkey for all of them
        # each test would wait out the minute of the one before.
        server.secrets = {f"appkey-{uuid.uuid4().hex}": "test-appsecret"}
        yield server


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer() as server:
        server.faults.skew_seconds = ahead(CLOSED)
        yield server


@pytest.fixture
def secrets(tmp_path: Path, kis: KisServer) -> Path:
    folder = tmp_path / "secrets"
    (folder / "kis").mkdir(parents=True)
    ((appkey, appsecret),) = kis.secrets.items()
    (folder / "kis" / "appkey").write_text(f"{appkey}\n")
    (folder / "kis" / "appsecret").write_text(f"{appsecret}\n")
    return folder


def live(
    name: str, kafka: str, redis: str, kis: KisServer, yahoo: YahooServer | None, **kis_spec: Any
) -> PipelineConfig:
    sources: list[dict[str, Any]] = [
        {
            "name": "kis",
            "kis": {
                "credentials": [{"secretRef": {"name": "kis"}}],
                "restUrl": kis.rest_url,
                "websocketUrl": kis.websocket_url,
                **kis_spec,
            },
        }
    ]
    if yahoo is not None:
        sources.append(
            {"name": "yahoo", "yahoo": {"chartUrl": yahoo.chart_url, "websocketUrl": yahoo.stream_url}}
        )
    return pipeline(name, kafka, redis, sources=sources)


def test_trades_reach_the_topic_and_what_is_none_the_dead_letters(
    kafka: str, redis: str, kis: KisServer, yahoo: YahooServer, secrets: Path, start: StartService
) -> None:
    config = live("live", kafka, redis, kis, yahoo)
    create_topics(config)
    producer = start("producer", config, environment={"STOCKPIPELINE_SECRETS": str(secrets)}, at=CLOSED)
    eventually(
        lambda: len(kis.registered()) == 5 and len(yahoo.followed()) == 5, "both sources are connected"
    )
    eventually(producer.ready, "the producer is ready")
    kis.trade("AAPL", count=3)
    yahoo.trade("AAPL")
    kis.send("0|HDFSCNT0|001|no trade")
    metric = producer.metric
    eventually(lambda: metric("stockpipeline_producer_ticks_total") == 3, "three ticks are sent")
    eventually(lambda: metric("stockpipeline_producer_dropped_ticks_total") == 1, "the other stands by")
    eventually(lambda: metric("stockpipeline_producer_dead_letters_total") == 1, "one dead letter")
    producer.process.stop()
    ticks = list(values(read_all(kafka, config.names.topic(Topic.TICKS))))
    assert [(tick["symbol"], tick["source"]) for tick in ticks] == [("AAPL", "kis")] * 3
    (letter,) = read_all(kafka, config.names.topic(Topic.DEAD_LETTER))
    assert letter.value() == b"0|HDFSCNT0|001|no trade"
    assert dict(letter.headers() or [])["reason"] == b"bad-fields"
    log = producer.process.log_tail()
    assert "test-appsecret" not in log
    assert "token-" not in log


def test_a_recorded_session_can_be_played_again(
    kafka: str, redis: str, kis: KisServer, secrets: Path, start: StartService, tmp_path: Path
) -> None:
    config = live("recorded", kafka, redis, kis, None)
    create_topics(config)
    file = tmp_path / "ticks.jsonl"
    environment = {"STOCKPIPELINE_SECRETS": str(secrets)}
    recording = start("producer", config, "recording", environment, ["--record", str(file)], at=CLOSED)
    eventually(lambda: len(kis.registered()) == 5, "all are registered")
    for symbol in sorted(kis.registered()):
        kis.trade(symbol, count=7)
    eventually(lambda: recording.metric("stockpipeline_producer_ticks_total") == 35, "all are taken")
    recording.process.stop()
    again = pipeline("played-again", kafka, redis)
    create_topics(again)
    playing = start("producer", again, "playing", arguments=["--ticks", str(file)])
    eventually(lambda: playing.metric("stockpipeline_producer_exhausted") == 1, "all is played")
    playing.process.stop()
    before, after = (
        sorted(
            (tick["symbol"], tick["price"], tick["volume"], tick["ts"])
            for tick in values(read_all(kafka, one.names.topic(Topic.TICKS)))
        )
        for one in (config, again)
    )
    assert after == before
    assert len(after) == 35


def test_a_restart_uses_the_same_token(
    kafka: str, redis: str, kis: KisServer, secrets: Path, start: StartService
) -> None:
    config = live("tokens", kafka, redis, kis, None, registrations=0)
    create_topics(config)
    producer = start("producer", config, environment={"STOCKPIPELINE_SECRETS": str(secrets)}, at=OPEN)
    eventually(lambda: producer.ready(), "the producer is ready")
    eventually(lambda: kis.asked["price"] > 10, "it polls, with a token")
    producer.process.kill()
    producer.process.start()
    asked = kis.asked["price"]
    eventually(lambda: kis.asked["price"] > asked + 10, "it polls again")
    assert kis.asked["token"] == 1


def test_a_missing_secret_is_named_and_waited_for(
    kafka: str, redis: str, kis: KisServer, tmp_path: Path, start: StartService
) -> None:
    config = live("no-secret", kafka, redis, kis, None)
    create_topics(config)
    producer = start("producer", config, environment={"STOCKPIPELINE_SECRETS": str(tmp_path)})
    eventually(lambda: "Secret kis" in producer.checks()["resume"], "it says which Secret is missing")
    assert producer.get("/healthz")[0] == 200


def test_history_comes_from_the_first_source_that_has_it(
    kafka: str,
    redis: str,
    kis: KisServer,
    yahoo: YahooServer,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STOCKPIPELINE_SECRETS", str(secrets))
    kis.market.dead.add("FB")
    config = live("live-history", kafka, redis, kis, yahoo)
    assert load(config) == 0
    assert "5 of 5 symbols loaded" in capsys.readouterr().out
    history = HistoryStore(redis, config.names).get_many(config.spec.universe.symbols)
    for symbol, series in history.items():
        market = (yahoo if symbol == "FB" else kis).market
        assert series is not None
        assert len(series) >= 299, "today may not be over"
        days = {
            session_from_date(day): close for day, _o, _h, _l, close, _v in market.days(symbol, TODAY, 500)
        }
        assert [days[bar.session] for bar in series] == [bar.close for bar in series]
    asked = kis.asked["dailyprice"]
    assert load(config) == 0
    assert kis.asked["dailyprice"] == asked, "it is up to date"


class Load:
    """Trades in a thread, a number of them each second, over all symbols."""

    def __init__(self, kis: KisServer, per_second: int) -> None:
        self._kis = kis
        self._per_second = per_second
        self._stop = threading.Event()
        self.traded = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        began, symbols = time.monotonic(), sorted(self._kis.registered())
        while not self._stop.wait(0.02):
            missing = int((time.monotonic() - began) * self._per_second) - self.traded
            for symbol in symbols:
                count = min(200, missing // len(symbols))
                if count > 0:
                    self._kis.trade(symbol, count=count)
                    self.traded += count


def test_a_broker_outage_under_load_loses_nothing_in_order(
    redis: str, kis: KisServer, secrets: Path, start: StartService, tmp_path: Path
) -> None:
    directory = tmp_path / "broker"
    directory.mkdir()
    with running_broker(directory) as broker:
        config = live("live-outage", broker.bootstrap, redis, kis, None)
        create_topics(config)
        producer = start("producer", config, environment={"STOCKPIPELINE_SECRETS": str(secrets)}, at=CLOSED)
        eventually(lambda: len(kis.registered()) == 5, "all are registered")
        with Load(kis, 1000) as load:
            eventually(lambda: load.traded > 2000, "some trades")
            broker.kill()
            at_the_kill = load.traded
            eventually(lambda: "cannot be reached" in producer.checks()["kafka"], "the outage is noticed")
            eventually(lambda: load.traded > at_the_kill + 5000, "trades go on meanwhile")
            broker.start()
            eventually(producer.ready, "the broker is back")
            eventually(lambda: load.traded > at_the_kill + 8000, "trades go on")
        sent = producer.metric
        eventually(lambda: sent("stockpipeline_producer_ticks_total") == load.traded, "all are handed over")
        eventually(lambda: sent("stockpipeline_producer_queue_messages") == 0, "all are acknowledged")
        producer.process.stop()
        assert "stopped" in producer.process.log_tail()
        _assert_complete(broker.bootstrap, config, kis, load.traded)


def _assert_complete(bootstrap: str, config: PipelineConfig, kis: KisServer, traded: int) -> None:
    ticks = [
        decode_tick(message.value() or b"")
        for message in read_all(bootstrap, config.names.topic(Topic.TICKS))
    ]
    assert len(ticks) == traded, "each trade once"
    for symbol, stock in kis.market.stocks.items():
        mine = [tick for tick in ticks if tick.symbol == symbol]
        assert [tick.ts for tick in mine] == sorted(tick.ts for tick in mine)
        assert sum(tick.volume for tick in mine) == stock.day_volume
        assert not mine or mine[-1].price == stock.last, "the last trade is the last tick"


def test_sigterm_flushes_what_waits(
    kafka: str, redis: str, kis: KisServer, secrets: Path, start: StartService
) -> None:
    config = live("flush", kafka, redis, kis, None)
    create_topics(config)
    producer = start("producer", config, environment={"STOCKPIPELINE_SECRETS": str(secrets)}, at=CLOSED)
    eventually(lambda: len(kis.registered()) == 5, "all are registered")
    for _ in range(20):
        for symbol in sorted(kis.registered()):
            kis.trade(symbol, count=50)
    eventually(lambda: producer.metric("stockpipeline_producer_ticks_total") > 0, "some are sent")
    eventually(lambda: producer.metric("stockpipeline_producer_ticks_total") == 5000, "all are taken")
    producer.process.stop()
    _assert_complete(kafka, config, kis, 5000)
