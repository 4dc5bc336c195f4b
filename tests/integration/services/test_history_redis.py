"""History in a real Redis."""

from __future__ import annotations

from datetime import date

import pytest
from redis import Redis

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.api import PipelineNames
from stockpipeline.cli.history import load
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.packaged import packaged_bars
from tests.integration.servers.process import free_port
from tests.integration.services.support import SYMBOLS, pipeline

NAMES = PipelineNames("test", "history-store")


def test_series_come_back_bit_for_bit(redis: str) -> None:
    store = HistoryStore(redis, NAMES)
    history = {symbol: packaged_bars(symbol).before(date(2013, 1, 2)) for symbol in ("AAPL", "FB")}
    store.put_many({**history, "NEW": BarSeries.empty()})
    found = store.get_many(["FB", "AAPL", "NEW", "GONE"])
    assert found == {**history, "NEW": BarSeries.empty(), "GONE": None}
    assert store.digests() == {
        "AAPL": history["AAPL"].digest(),
        "FB": history["FB"].digest(),
        "NEW": BarSeries.empty().digest(),
    }


def test_storing_some_symbols_leaves_the_others(redis: str) -> None:
    store = HistoryStore(redis, PipelineNames("test", "history-update"))
    bars = packaged_bars("IBM")
    store.put_many({"IBM": bars, "MSFT": bars})
    store.put_many({"IBM": bars.last(10)})
    assert store.get_many(["IBM", "MSFT"]) == {"IBM": bars.last(10), "MSFT": bars}


def test_more_symbols_than_one_request_takes(redis: str) -> None:
    store = HistoryStore(redis, PipelineNames("test", "history-many"))
    bars = packaged_bars("FB").last(3)
    symbols = [f"S{number}" for number in range(250)]
    store.put_many(dict.fromkeys(symbols, bars))
    assert store.get_many(symbols) == dict.fromkeys(symbols, bars)


def test_a_broken_value_is_named(redis: str) -> None:
    with Redis.from_url(redis) as client:
        client.set(NAMES.history_key("BAD"), b"not bars")
    with pytest.raises(HistoryUnavailable, match=r"Redis key test\.history-store:history:BAD is no history"):
        HistoryStore(redis, NAMES).get_many(["BAD"])


def test_loading_again_repairs_what_is_broken_gone_or_not_noted(
    redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pipeline("history-repair", "127.0.0.1:9092", redis)
    store = HistoryStore(redis, config.names)
    assert load(config) == 0
    good = store.get_many(SYMBOLS)
    with Redis.from_url(redis) as client:
        client.set(config.names.history_key("IBM"), b"not bars")
        client.delete(config.names.history_key("FB"))
        client.hdel(config.names.history_digests_key, "GOOG")
    assert load(config) == 0
    assert "3 of 5 symbols loaded" in capsys.readouterr().out
    assert store.get_many(SYMBOLS) == good
    assert store.digests().keys() == set(SYMBOLS)
    assert load(config) == 0
    assert "0 of 5 symbols loaded" in capsys.readouterr().out


def test_an_unreachable_server_is_named() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    store = HistoryStore(url, NAMES)
    empty = {"IBM": BarSeries.empty()}
    for request in (lambda: store.get_many(["IBM"]), store.digests, lambda: store.put_many(empty)):
        with pytest.raises(HistoryUnavailable, match=f"Redis at {url} cannot be used"):
            request()
