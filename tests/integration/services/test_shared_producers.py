"""Several producers of one pipeline on real Kafka and Redis: one dies, and nothing is missing or doubled."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis as redis_client

from stockpipeline.adapters.member_table import MemberTable
from stockpipeline.api import Topic
from tests.integration.services.clock import CLOSED, ahead
from tests.integration.services.comparison import (
    TICKS_PER_BAR,
    TOTAL,
    assert_ticks_are_complete,
    ticks_in,
    ticks_sent,
)
from tests.integration.services.conftest import StartService
from tests.integration.services.support import (
    SYMBOLS,
    Service,
    create_topics,
    eventually,
    pipeline,
    read_all,
    values,
)
from tests.stand_ins.kis import KisServer


def owned(producer: Service) -> float:
    return producer.metric("stockpipeline_producer_owned_symbols")


def test_a_killed_replay_producer_leaves_its_symbols_to_the_others(
    kafka: str, redis: str, start: StartService
) -> None:
    config = pipeline("shared", kafka, redis, replay={"ticksPerBar": TICKS_PER_BAR, "speed": 100_000})
    create_topics(config)
    producers = [start("producer", config, f"p{number}", arguments=["--shared"]) for number in range(3)]
    eventually(lambda: sum(map(owned, producers)) == len(SYMBOLS), "the symbols are shared")
    eventually(lambda: ticks_sent(config) > 0.1 * TOTAL, "some ticks are sent")
    victim = max(producers, key=owned)
    assert owned(victim) > 0
    victim.process.kill()
    producers.remove(victim)
    eventually(lambda: sum(map(owned, producers)) == len(SYMBOLS), "the survivors have all symbols")
    stopped = max(producers, key=owned)
    # Under its name, but as another member: what the dead one had promised does not count for it.
    victim.process.start()
    producers.append(victim)
    producers.remove(stopped)
    stopped.process.stop()
    eventually(lambda: sum(map(owned, producers)) == len(SYMBOLS), "two producers have all symbols")
    eventually(
        lambda: all(one.metric("stockpipeline_producer_exhausted") == 1 for one in producers), "all is played"
    )
    assert_ticks_are_complete(ticks_in(config))
    assert "the share changes" in stopped.process.log_tail(1000)


@pytest.fixture
def kis() -> Iterator[KisServer]:
    with KisServer(heartbeat_seconds=1.0) as server:
        server.faults.skew_seconds = ahead(CLOSED)
        server.secrets = {f"appkey-{uuid.uuid4().hex}": f"secret-{number}" for number in range(2)}
        yield server


def test_a_killed_live_producer_leaves_its_application_key_to_the_other(
    kafka: str, redis: str, kis: KisServer, start: StartService, tmp_path: Path
) -> None:
    for number, (appkey, appsecret) in enumerate(kis.secrets.items()):
        folder = tmp_path / "secrets" / f"kis-{number}"
        folder.mkdir(parents=True)
        (folder / "appkey").write_text(appkey)
        (folder / "appsecret").write_text(appsecret)
    source = {
        "credentials": [{"secretRef": {"name": f"kis-{number}"}} for number in range(2)],
        "restUrl": kis.rest_url,
        "websocketUrl": kis.websocket_url,
        "registrations": 3,
    }
    config = pipeline("shared-live", kafka, redis, sources=[{"name": "kis", "kis": source}])
    create_topics(config)
    environment = {"STOCKPIPELINE_SECRETS": str(tmp_path / "secrets")}
    producers = [
        start("producer", config, f"p{number}", environment, ["--shared"], at=CLOSED) for number in range(2)
    ]
    eventually(lambda: all(0 < owned(one) < len(SYMBOLS) for one in producers), "each has an appkey")
    eventually(lambda: len(kis.registered()) == len(SYMBOLS), "all symbols are registered")
    assert len({session.appkey for session in kis.sessions}) == 2

    def trade_all(count: int) -> None:
        for symbol in SYMBOLS:
            kis.trade(symbol, count=count)

    def sent(*some: Service) -> float:
        return sum(one.metric("stockpipeline_producer_ticks_total") for one in some)

    trade_all(40)
    eventually(lambda: sent(*producers) == 40 * len(SYMBOLS), "all are taken")
    # Those that still wait for Kafka when a process is killed are lost: the outside gives them once.
    eventually(
        lambda: all(one.metric("stockpipeline_producer_queue_messages") == 0 for one in producers),
        "all are acknowledged",
    )
    victim, survivor = producers
    before = sent(survivor)
    victim.process.kill()
    eventually(lambda: owned(survivor) == len(SYMBOLS), "the other has all symbols")
    eventually(lambda: len(kis.registered()) == len(SYMBOLS), "all symbols are registered again")
    trade_all(60)
    eventually(lambda: sent(survivor) - before == 60 * len(SYMBOLS), "all are taken")
    survivor.process.stop()
    ticks = list(values(read_all(kafka, config.names.topic(Topic.TICKS))))
    assert Counter(tick["symbol"] for tick in ticks) == dict.fromkeys(SYMBOLS, 100)
    for symbol, stock in kis.market.stocks.items():
        mine = [tick for tick in ticks if tick["symbol"] == symbol]
        assert sum(tick["volume"] for tick in mine) == stock.day_volume, "each trade once"
        assert [tick["ts"] for tick in mine] == sorted(tick["ts"] for tick in mine)
    assert kis.asked["approval"] == 2, "approval keys are shared"
    assert kis.refused["OPSP8996"] == 0, "never two sessions on an appkey"


def test_the_table_of_members(redis: str) -> None:
    key = f"test:{uuid.uuid4().hex}"
    with closing(MemberTable(redis, key, 60_000, 10_000, 5.0)) as table:
        first = table.beat("one", 0)
        assert first.members == {"one": 0}
        assert 60_000 < first.quiet_ms <= 70_000, "it is new: who knows what others hold"
        second = table.beat("two", 0)
        assert second.epoch > first.epoch
        same = table.beat("one", second.epoch)
        assert (same.epoch, same.members) == (second.epoch, {"one": second.epoch, "two": 0})
        table.leave("two")
        third = table.beat("one", second.epoch)
        assert third.epoch > second.epoch
        assert third.members == {"one": second.epoch}
        with closing(redis_client.Redis.from_url(redis)) as client:
            client.hset(key, "m:dead", f"1000 {third.epoch}")  # type: ignore[misc]
            fourth = table.beat("one", third.epoch)
            assert fourth.members == {"one": third.epoch}, "its lease is over"
            assert fourth.epoch > third.epoch
            client.hset(key, "run", "another-process")  # type: ignore[misc]
        fifth = table.beat("two", 0)
        assert fifth.members == {"two": 0}, "Redis was started anew: leases have to be taken anew"
        assert fifth.quiet_ms > 60_000
        assert fifth.epoch != fourth.epoch
