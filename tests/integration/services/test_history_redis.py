"""History in a real Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from redis import Redis
from redis.client import Pipeline

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.api import PipelineNames
from stockpipeline.cli.history import load
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.packaged import packaged_bars
from tests.integration.services.support import SYMBOLS, pipeline
from tests.ports import free_port

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
    store = HistoryStore(redis, NAMES)
    bars = packaged_bars("IBM").last(3)
    store.put_many({"BAD": bars})
    with Redis.from_url(redis) as client:
        client.set(NAMES.history_key("BAD", bars.digest()), b"not bars")
    with pytest.raises(
        HistoryUnavailable, match=r"Redis key test\.history-store:history:BAD:\w+ is no history"
    ):
        store.get_many(["BAD"])


def test_loading_again_repairs_what_is_broken_gone_or_not_noted(
    redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pipeline("history-repair", "127.0.0.1:9092", redis)
    store = HistoryStore(redis, config.names)
    assert load(config) == 0
    good = store.get_many(SYMBOLS)
    with Redis.from_url(redis) as client:
        digests = store.digests()
        client.set(config.names.history_key("IBM", digests["IBM"]), b"not bars")
        client.delete(config.names.history_key("FB", digests["FB"]))
        client.hdel(config.names.history_digests_key, "GOOG")
    assert load(config) == 0
    assert "3 of 5 symbols loaded" in capsys.readouterr().out
    assert store.get_many(SYMBOLS) == good
    assert store.digests().keys() == set(SYMBOLS)
    assert load(config) == 0
    assert "0 of 5 symbols loaded" in capsys.readouterr().out


def values(url: str, names: PipelineNames) -> dict[str, int]:
    """The keys of values, by symbol and digest, with the seconds that they stay; -1 is for good."""
    with Redis.from_url(url) as client:
        keys = [key.decode() for key in client.scan_iter(f"{names.prefix}:history:*", count=1000)]
        return {key.split(":history:")[1]: client.ttl(key) for key in keys}


def test_what_was_replaced_or_removed_stays_for_readers_and_then_goes(redis: str) -> None:
    names = PipelineNames("test", "history-replaced")
    store = HistoryStore(redis, names)
    old, new = packaged_bars("IBM").last(3), packaged_bars("IBM").last(4)
    store.put_many({"IBM": old, "MSFT": old, "FB": old})
    store.put_many({"IBM": new}, remove=["FB"])
    assert store.digests() == {"IBM": new.digest(), "MSFT": old.digest()}
    found = values(redis, names)
    assert found.pop(f"IBM:{old.digest()}") > 0
    assert found.pop(f"FB:{old.digest()}") > 0
    assert found == {f"IBM:{new.digest()}": -1, f"MSFT:{old.digest()}": -1}
    assert store.get_many(["IBM", "FB"]) == {"IBM": new, "FB": None}
    # Back again before the old value has gone: it stays for good.
    store.put_many({"IBM": old})
    assert values(redis, names)[f"IBM:{old.digest()}"] == -1
    assert store.generation() == 3


class _Crash(BaseException):
    """Nothing catches it, like a kill."""


def test_a_writer_that_is_killed_before_the_switch_changes_nothing(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = PipelineNames("test", "history-killed")
    store = HistoryStore(redis, names)
    old, new = packaged_bars("IBM").last(3), packaged_bars("IBM").last(4)
    store.put_many({"IBM": old, "FB": old})

    def killed(*_: object, **__: object) -> None:
        raise _Crash

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "multi", killed)
        with pytest.raises(_Crash):
            store.put_many({"IBM": new, "FB": new})
    assert store.get_many(["IBM", "FB"]) == {"IBM": old, "FB": old}
    assert store.generation() == 1
    left = values(redis, names)
    assert left[f"IBM:{new.digest()}"] > 0, "goes by itself"
    assert left[f"IBM:{old.digest()}"] == -1


def test_writers_at_once_leave_a_whole_history(redis: str) -> None:
    names = PipelineNames("test", "history-together")
    versions = [packaged_bars("IBM").last(count) for count in range(1, 9)]

    def write(series: BarSeries) -> None:
        HistoryStore(redis, names).put_many(dict.fromkeys(("A", "B", "C"), series))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, versions))
    store = HistoryStore(redis, names)
    found = store.get_many(["A", "B", "C"])
    assert found["A"] is not None
    assert found == dict.fromkeys(("A", "B", "C"), found["A"])
    stay = {key: seconds for key, seconds in values(redis, names).items() if seconds == -1}
    assert set(stay) == {f"{symbol}:{found['A'].digest()}" for symbol in ("A", "B", "C")}
    assert store.generation() == len(versions)


def test_an_unreachable_server_is_named() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    store = HistoryStore(url, NAMES)
    empty = {"IBM": BarSeries.empty()}
    for request in (lambda: store.get_many(["IBM"]), store.digests, lambda: store.put_many(empty)):
        with pytest.raises(HistoryUnavailable, match=f"Redis at {url} cannot be used"):
            request()
