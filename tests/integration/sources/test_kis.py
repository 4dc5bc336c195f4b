"""The KIS source against the stand-in: real sockets, real formats, every known fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MalformedReason
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.kis.credentials import AppKey
from stockpipeline.sources.kis.grants import GrantStore, LocalGrants
from stockpipeline.sources.kis.source import KisSource, KisTerms
from stockpipeline.sources.session_kind import SessionKind
from tests.integration.sources.sink import KeepingSink, running
from tests.stand_ins.kis import KisServer

# 2024-12-27T15:00Z, in the session; what only a clock decides is decided by this one.
OPEN = 1735311600000
KEY = AppKey("test-appkey", "test-appsecret")


class FastGrants(LocalGrants):
    """A store whose minute is short."""

    async def take_turn(self, kind: object) -> bool:
        return True


@pytest.fixture
def kis() -> Iterator[KisServer]:
    with KisServer(heartbeat_seconds=0.2) as server:
        server.limits.seconds_between_tokens = 0.0
        server.limits.requests_per_second = 1000
        yield server


def source(
    server: KisServer,
    symbols: list[str],
    registrations: int = 41,
    keys: tuple[AppKey, ...] = (KEY,),
    store: Callable[[AppKey], GrantStore] = lambda _key: FastGrants(),
    per_second: float = 200.0,
    silence: float = 30.0,
) -> KisSource:
    terms = KisTerms(
        server.rest_url,
        server.websocket_url,
        registrations,
        per_second,
        silence_seconds=silence,
        answer_seconds=0.5,
    )
    metrics = SourceMetrics(CollectorRegistry(), "test")
    kind = SessionKind(SessionCalendar("XNAS"))
    app_keys = {key.fingerprint: key for key in keys}
    return KisSource("kis", terms, app_keys, "XNAS", symbols, store, kind, metrics, now_ms=lambda: OPEN)


def test_trades_come_as_they_are_made_and_heartbeats_are_answered(kis: KisServer) -> None:
    sink = KeepingSink()
    with running(source(kis, ["AAPL", "MSFT"]), sink):
        sink.wait_for(lambda: kis.registered() == {"AAPL", "MSFT"}, "both are registered")
        kis.trade("AAPL", price=100.5, size=7)
        kis.trade("MSFT", count=3, price=50.0)
        sink.wait_for(lambda: len(sink.ticks) == 4, "a frame of one and a frame of three")
        session = kis.sessions[0]
        sink.wait_for(lambda: session.pongs > 0 and session.echoes > 0, "heartbeats are answered both ways")
    assert sink.prices("AAPL") == [100.5]
    assert sink.ticks[0].volume == 7
    assert sink.letters == []


def test_more_symbols_than_registrations_are_polled_by_turns(kis: KisServer) -> None:
    sink = KeepingSink()
    symbols = [f"S{number}" for number in range(50)]
    with running(source(kis, symbols), sink):
        sink.wait_for(lambda: len(kis.registered()) == 41, "41 are registered")
        polled = sorted(set(symbols) - kis.registered())
        sink.wait_for(
            lambda: set(polled) <= set(sink.confirmations) | set(kis.market.stocks), "each is looked at"
        )
        sink.wait_for(lambda: kis.asked["price"] > 30, "some rounds")
        for symbol in polled:
            kis.market.trade(symbol, price=33.0, size=5)
        sink.wait_for(
            lambda: {tick.symbol for tick in sink.ticks} >= set(polled), "trades of the polled ones"
        )
    assert kis.refused == {}
    assert {(tick.price, tick.ts) for tick in sink.ticks if tick.symbol in polled} == {(33.0, OPEN)}


def test_a_server_with_room_for_less_gets_the_rest_polled(kis: KisServer) -> None:
    kis.limits.registrations = 3
    sink = KeepingSink()
    symbols = [f"S{number}" for number in range(6)]
    with running(source(kis, symbols), sink):
        sink.wait_for(lambda: kis.refused["OPSP0008"] == 3, "three have no room")
        refused = set(symbols) - kis.registered()
        sink.wait_for(lambda: refused <= set(sink.confirmations), "they are polled")


def test_several_appkeys_add_up_each_with_one_session(kis: KisServer) -> None:
    keys = tuple(AppKey(f"key-{number}", f"secret-{number}") for number in range(3))
    kis.secrets = {key.key: key.secret for key in keys}
    sink = KeepingSink()
    symbols = [f"S{number}" for number in range(100)]
    with running(source(kis, symbols, keys=keys), sink):
        sink.wait_for(lambda: len(kis.registered()) == 100, "all are live")
        assert sorted(len(session.registered) for session in kis.sessions) != [0, 0, 100]
        assert len({session.appkey for session in kis.sessions}) == 3
    assert kis.refused["OPSP0008"] == 0


@pytest.mark.parametrize("abort", [False, True])
def test_after_a_disconnect_it_registers_again(kis: KisServer, abort: bool) -> None:
    sink = KeepingSink()
    with running(source(kis, ["AAPL"]), sink):
        sink.wait_for(lambda: kis.registered() == {"AAPL"}, "registered")
        kis.disconnect(abort=abort)
        sink.wait_for(lambda: kis.connections == 2 and kis.registered() == {"AAPL"}, "registered again")
        kis.trade("AAPL", price=9.0)
        sink.wait_for(lambda: sink.prices("AAPL") == [9.0], "the trade")
    assert kis.asked["approval"] == 1, "the approval key is kept"


def test_silence_ends_a_connection_and_symbols_are_polled_meanwhile(kis: KisServer) -> None:
    kis.faults.ws_silent = True
    sink = KeepingSink()
    with running(source(kis, ["AAPL"], silence=0.5), sink):
        sink.wait_for(lambda: kis.connections >= 2, "a second connection")
        sink.wait_for(lambda: "AAPL" in sink.confirmations, "polled while the websocket is down")
        kis.faults.ws_silent = False
        sink.wait_for(lambda: kis.registered() == {"AAPL"}, "registered")


def test_another_session_on_the_appkey_is_waited_for(kis: KisServer) -> None:
    kis.faults.ws_refuse = "OPSP8996"
    sink = KeepingSink()
    with running(source(kis, ["AAPL"]), sink):
        sink.wait_for(lambda: kis.refused["OPSP8996"] == 1, "refused")
        sink.wait_for(
            lambda: None in sink.answers and "AAPL" in sink.confirmations, "told, and polled instead"
        )
    assert kis.connections <= 2, "it does not hammer"


def test_an_internal_error_leaves_the_symbol_to_rest(kis: KisServer) -> None:
    kis.faults.ws_refuse = "OPSP0007"
    sink = KeepingSink()
    with running(source(kis, ["AAPL"]), sink):
        sink.wait_for(lambda: "AAPL" in sink.confirmations, "polled")


def test_an_approval_key_that_is_refused_is_replaced(kis: KisServer) -> None:
    kis.faults.ws_refuse = "OPSP0011"
    sink = KeepingSink()
    with running(source(kis, ["AAPL"]), sink):
        sink.wait_for(lambda: kis.refused["OPSP0011"] >= 1, "refused")
        kis.faults.ws_refuse = ""
        sink.wait_for(lambda: kis.registered() == {"AAPL"}, "registered")
    assert kis.asked["approval"] >= 2


def test_half_frames_and_other_damage_are_dead_letters(kis: KisServer) -> None:
    sink = KeepingSink()
    with running(source(kis, ["AAPL"]), sink):
        sink.wait_for(lambda: kis.registered() == {"AAPL"}, "registered")
        kis.faults.half_frames = True
        kis.trade("AAPL")
        kis.send("0|HDFSCNT0|")
        kis.send("?")
        kis.send(b"\xff\x00")
        sink.wait_for(lambda: len(sink.letters) == 4, "four dead letters")
        kis.faults.half_frames = False
        kis.trade("AAPL", price=5.0)
        sink.wait_for(lambda: sink.prices("AAPL") == [5.0], "it goes on")
    assert [reason for reason, _data in sink.letters] == [
        MalformedReason.BAD_FIELDS, MalformedReason.BAD_FIELDS, MalformedReason.BAD_JSON,
        MalformedReason.BAD_FIELDS,
    ]  # fmt: skip
    assert sink.letters[1][1] == b"0|HDFSCNT0|"


def test_an_expired_token_is_replaced(kis: KisServer) -> None:
    sink = KeepingSink()
    with running(source(kis, ["AAPL"], registrations=0), sink):
        sink.wait_for(lambda: len(sink.confirmations) > 2, "polled")
        kis.expire_tokens()
        seen = len(sink.confirmations)
        sink.wait_for(lambda: len(sink.confirmations) > seen + 2, "polled with another token")
    assert kis.refused["EGW00123"] >= 1
    assert kis.asked["token"] == 2


@pytest.mark.parametrize("fault", ["429", "500", "silent", "EGW00201", "EGW00201/500", "EGW00123/401"])
def test_rest_that_fails_is_told_and_comes_back(kis: KisServer, fault: str) -> None:
    sink = KeepingSink()
    code, _, status = fault.partition("/")
    with running(source(kis, ["AAPL"], registrations=0), sink):
        sink.wait_for(lambda: len(sink.confirmations) > 1, "polled")
        if fault.isdigit():
            kis.faults.rest_status = int(fault)
        elif fault == "silent":
            kis.faults.rest_silent = True
        else:
            kis.faults.rest_code, kis.faults.rest_code_status = code, int(status or 200)
        asked = kis.asked["price"]
        sink.wait_for(lambda: kis.asked["price"] > asked, "asked")
        if fault in ("500", "silent"):
            sink.wait_for(lambda: None in sink.answers, "told")
        kis.faults.rest_status, kis.faults.rest_code, kis.faults.rest_silent = 0, "", False
        seen = len(sink.confirmations)
        sink.wait_for(lambda: len(sink.confirmations) > seen, "polled again")


def test_the_rate_limit_is_kept_from_the_first_second_on(kis: KisServer) -> None:
    kis.limits.requests_per_second = 20
    sink = KeepingSink()
    with running(source(kis, [f"S{n}" for n in range(30)], registrations=0, per_second=20), sink):
        sink.wait_for(lambda: kis.asked["price"] >= 60, "three seconds")
    # A machine that is busy delays some requests until they arrive together with later ones; without a limit
    # nearly all would be refused.
    assert kis.refused["EGW00201"] <= kis.asked["price"] / 4


def test_a_symbol_that_kis_does_not_know_is_told(kis: KisServer) -> None:
    kis.market.dead.add("GONE")
    sink = KeepingSink()
    with running(source(kis, ["GONE"], registrations=0), sink):
        sink.wait_for(lambda: bool(sink.failures), "told")
    assert sink.failures[0][0] == "GONE"


def test_wrong_credentials_are_told_without_them(kis: KisServer, capsys: pytest.CaptureFixture[str]) -> None:
    sink = KeepingSink()
    with running(source(kis, ["AAPL"], keys=(AppKey("test-appkey", "wr0ng-secret"),)), sink):
        sink.wait_for(lambda: None in sink.answers, "told")
    printed = capsys.readouterr()
    assert "wr0ng-secret" not in printed.out + printed.err
    assert "test-appkey" not in printed.out + printed.err
