"""The Yahoo source against the stand-in, with the real yfinance client in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MalformedReason
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.session_kind import SessionKind
from stockpipeline.sources.yahoo.source import YahooSource, YahooTerms
from tests.integration.sources.sink import KeepingSink, running
from tests.stand_ins.yahoo import YahooServer

# 2024-12-27T15:00Z, in the session.
OPEN = 1735311600000


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer() as server:
        yield server


def source(
    server: YahooServer, cache: Path, symbols: list[str], silence: float = 30.0, poll: float = 0.2
) -> YahooSource:
    terms = YahooTerms(server.stream_url, server.chart_url, poll, 50.0, cache, silence)
    kind = SessionKind(SessionCalendar("XNAS"))
    metrics = SourceMetrics(CollectorRegistry(), "test")
    return YahooSource("yahoo", terms, symbols, kind, metrics, now_ms=lambda: OPEN)


def test_the_stream_brings_trades_and_needs_no_polls(yahoo: YahooServer, tmp_path: Path) -> None:
    sink = KeepingSink()
    with running(source(yahoo, tmp_path, ["AAPL", "BRK.B"]), sink):
        sink.wait_for(lambda: yahoo.followed() == {"AAPL", "BRK-B"}, "both are followed")
        yahoo.trade("AAPL", price=187.44, size=100)
        yahoo.trade("AAPL", price=187.45, size=30)
        yahoo.trade("BRK-B", price=450.0)
        sink.wait_for(lambda: len(sink.ticks) == 3, "three trades")
    assert sink.prices("AAPL") == [187.44, 187.45], "as sent, although the wire has 32 bits"
    assert sink.ticks[1].volume == 30
    assert sink.prices("BRK.B") == [450.0]
    assert yahoo.asked["chart"] == 0


@pytest.mark.parametrize("abort", [False, True])
def test_after_a_disconnect_it_follows_again(yahoo: YahooServer, tmp_path: Path, abort: bool) -> None:
    sink = KeepingSink()
    with running(source(yahoo, tmp_path, ["AAPL"]), sink):
        sink.wait_for(lambda: yahoo.followed() == {"AAPL"}, "followed")
        yahoo.disconnect(abort=abort)
        sink.wait_for(lambda: yahoo.connections == 2 and yahoo.followed() == {"AAPL"}, "followed again")
        yahoo.trade("AAPL", price=9.0)
        sink.wait_for(lambda: sink.prices("AAPL") == [9.0], "the trade")


def test_a_silent_stream_is_connected_anew_and_wanted_symbols_are_polled(
    yahoo: YahooServer, tmp_path: Path
) -> None:
    yahoo.faults.stream_silent = True
    sink = KeepingSink()
    one = source(yahoo, tmp_path, ["AAPL", "MSFT"], silence=0.5)
    one.want(["AAPL"])
    with running(one, sink):
        yahoo.trade("AAPL", price=20.0)
        sink.wait_for(lambda: yahoo.connections >= 2, "a second connection")
        sink.wait_for(lambda: 20.0 in sink.prices("AAPL"), "the trade, from the chart")
        yahoo.trade("AAPL", price=21.0, size=40)
        sink.wait_for(lambda: 21.0 in sink.prices("AAPL"), "the next one")
        sink.wait_for(lambda: "AAPL" in sink.confirmations, "nothing new after that")
    assert yahoo.asked["MSFT"] == 0, "nobody wanted it"


def test_a_rate_limit_is_told_and_respected(yahoo: YahooServer, tmp_path: Path) -> None:
    yahoo.faults.chart_status = 429
    sink = KeepingSink()
    one = source(yahoo, tmp_path, ["AAPL", "MSFT"])
    one.want(["AAPL", "MSFT"])
    with running(one, sink):
        sink.wait_for(lambda: None in sink.answers, "told")
        asked = yahoo.asked["chart"]
        yahoo.trade("AAPL")
        sink.wait_for(lambda: len(sink.ticks) == 1, "the stream goes on")
    assert yahoo.asked["chart"] == asked <= 2, "the client's own retry, and then a pause"


def test_a_dead_symbol_is_told_once_and_not_asked_again(yahoo: YahooServer, tmp_path: Path) -> None:
    yahoo.market.dead.add("GONE")
    sink = KeepingSink()
    one = source(yahoo, tmp_path, ["GONE", "AAPL"])
    one.want(["GONE", "AAPL"])
    with running(one, sink):
        sink.wait_for(lambda: yahoo.asked["AAPL"] > 5, "the other is polled on")
    assert [symbol for symbol, _why in sink.failures] == ["GONE"]
    assert yahoo.asked["GONE"] <= 2


def test_an_outage_is_told_and_over_without_a_restart(yahoo: YahooServer, tmp_path: Path) -> None:
    yahoo.faults.chart_status = 500
    sink = KeepingSink()
    one = source(yahoo, tmp_path, ["AAPL"])
    one.want(["AAPL"])
    with running(one, sink):
        sink.wait_for(lambda: None in sink.answers, "told")
        yahoo.faults.chart_status = 0
        sink.wait_for(lambda: len(sink.prices("AAPL")) == 1, "the client's cache has no failures in it")


def test_damage_is_a_dead_letter(yahoo: YahooServer, tmp_path: Path) -> None:
    sink = KeepingSink()
    with running(source(yahoo, tmp_path, ["AAPL"]), sink):
        sink.wait_for(lambda: yahoo.followed() == {"AAPL"}, "followed")
        yahoo.faults.half_messages = True
        yahoo.trade("AAPL")
        yahoo.send('{"message": "AAAA"}')
        yahoo.send(b"\x00")
        sink.wait_for(lambda: len(sink.letters) == 3, "three dead letters")
        yahoo.faults.half_messages = False
        yahoo.trade("AAPL", price=5.0)
        sink.wait_for(lambda: sink.prices("AAPL") == [5.0], "it goes on")
    assert {reason for reason, _data in sink.letters} <= {
        MalformedReason.BAD_JSON,
        MalformedReason.BAD_FIELDS,
    }
