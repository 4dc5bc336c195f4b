"""The sync against a real Redis: exact deltas, and kills at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import PipelineNames
from stockpipeline.batch.redis_sync import EmptyHistory, Synced, sync
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction, adjusted
from stockpipeline.market.packaged import packaged_bars

REPO = Path(__file__).resolve().parents[3]
BARS = packaged_bars("IBM")


def universe(count: int, end: int) -> dict[str, BarSeries]:
    """Histories of 60 bars up to bar ``end``, of as many symbols, each another one."""
    return {f"S{number}": BARS[end - 60 - number : end] for number in range(count)}


def test_only_what_differs_moves(redis: str) -> None:
    store = HistoryStore(redis, PipelineNames("test", "sync-deltas"))
    history = universe(30, 500)
    assert sync(store, history) == Synced(30, 30, 0, 0, 1)
    assert sync(store, history) == Synced(30, 0, 0, 0, 1)

    split = CorporateAction(int(history["S7"].sessions[-1]), split=2.0)
    history["S7"] = adjusted(history["S7"], [split])
    assert sync(store, history).written == 1
    week_later = universe(30, 505)
    assert sync(store, week_later) == Synced(30, 30, 0, 0, 3)
    assert store.get_many(list(week_later)) == week_later


def test_a_symbol_that_is_gone_from_the_store_leaves_after_its_grace(redis: str) -> None:
    names = PipelineNames("test", "sync-leaving")
    store = HistoryStore(redis, names)
    history = universe(3, 500)
    sync(store, history)
    fewer = {symbol: series for symbol, series in history.items() if symbol != "S1"}

    def run(wanted: dict[str, BarSeries], day: int) -> Synced:
        return sync(store, wanted, grace_seconds=3 * 86_400, now=lambda: day * 86_400.0)

    assert run(fewer, 1) == Synced(2, 0, 0, 1, 1)
    assert run(fewer, 2) == Synced(2, 0, 0, 1, 1)
    assert run(history, 3) == Synced(3, 0, 0, 0, 1)  # back: the grace begins anew
    assert run(fewer, 4).leaving == 1
    assert run(fewer, 6).leaving == 1
    assert run(fewer, 7) == Synced(2, 0, 1, 0, 2)
    assert store.digests().keys() == {"S0", "S2"}
    assert store.leaving() == {}


def test_what_redis_lost_or_garbled_is_mended(redis: str) -> None:
    names = PipelineNames("test", "sync-mended")
    store = HistoryStore(redis, names)
    history = universe(5, 500)
    sync(store, history)
    with Redis.from_url(redis) as client:
        client.delete(names.history_key("S1", history["S1"].digest()))
        client.set(names.history_key("S2", history["S2"].digest()), b"garbled")
    assert sync(store, history).written == 1, "digests show what is gone"
    assert sync(store, history).written == 0
    assert sync(store, history, validate=True).written == 1, "validation shows what is garbled"
    assert store.get_many(list(history)) == history
    assert sync(store, history, validate=True).written == 0
    assert sync(store, history, force_full=True).written == 5


def test_nothing_is_no_reason_to_remove_everything(redis: str) -> None:
    store = HistoryStore(redis, PipelineNames("test", "sync-empty"))
    sync(store, universe(2, 500))
    with pytest.raises(EmptyHistory, match="load the store first"):
        sync(store, {})
    assert len(store.digests()) == 2


CHILD = """
import sys
from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import PipelineNames
from stockpipeline.batch.redis_sync import sync
from tests.integration.batch.test_redis_sync import universe
store = HistoryStore(sys.argv[1], PipelineNames("test", "sync-killed"))
histories = [universe(400, end) for end in (500, 501)]
print("ready", flush=True)
turn = 0
while True:
    sync(store, histories[turn % 2])
    turn += 1
"""


def test_killed_at_any_moment_it_is_the_old_or_the_new_state_and_goes_on(redis: str) -> None:
    names = PipelineNames("test", "sync-killed")
    store = HistoryStore(redis, names)
    old, new = universe(400, 500), universe(400, 501)
    sync(store, old)
    digests = [{symbol: one.digest() for symbol, one in history.items()} for history in (old, new)]
    moments = random.Random(8)
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, redis],
            stdout=subprocess.PIPE,
            cwd=REPO,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), *sys.path])},
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            generation = store.generation()
            deadline = time.monotonic() + 60
            while store.generation() == generation:  # it has switched, and begins again
                assert time.monotonic() < deadline
            time.sleep(moments.uniform(0, 0.1))
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
        found = store.digests()
        assert found in digests, "never half of both"
        history = old if found == digests[0] else new
        assert store.get_many(list(history)) == history
    assert sync(store, new).symbols == 400
    assert store.get_many(list(new)) == new
    assert sync(store, new, validate=True).written == 0
