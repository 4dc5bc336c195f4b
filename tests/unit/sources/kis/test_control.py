"""Control messages and answers: each code by what it means."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.bars import Bar
from stockpipeline.market.sessions import session_from_date
from stockpipeline.market.ticks import MalformedTick, MarketSession
from stockpipeline.sources.kis.daily import read_daily
from stockpipeline.sources.kis.keys import UnknownExchange, registration
from stockpipeline.sources.kis.meanings import Ack, KisError, Meaning, read_answer
from stockpipeline.sources.kis.messages import Answer, Heartbeat, Unreadable, read_control, subscribe
from stockpipeline.sources.kis.prices import Looks, Price, read_price

AAPL = registration("AAPL", "XNAS")


@pytest.mark.parametrize(
    ("code", "ack"),
    [
        ("OPSP0000", Ack.REGISTERED),
        ("OPSP0001", Ack.REMOVED),
        ("OPSP0002", Ack.REGISTERED),
        ("OPSP0003", Ack.REMOVED),
        ("OPSP0007", Ack.FAILED),
        ("OPSP0008", Ack.FULL),
        ("OPSP0011", Ack.BAD_APPROVAL),
        ("OPSP8996", Ack.TAKEN),
        ("OPSP9999", Ack.FAILED),
    ],
)
def test_answers_to_registrations(code: str, ack: Ack) -> None:
    text = {"header": {"tr_id": "HDFSCNT0", "tr_key": "DNASAAPL"}, "body": {"msg_cd": code, "msg1": "said"}}
    assert read_control(json.dumps(text)) == Answer(ack, "DNASAAPL", f"{code} said")


def test_a_heartbeat_is_given_back_as_it_came() -> None:
    text = '{"header":{"tr_id":"PINGPONG","datetime":"20241227210229"}}'
    assert read_control(text) == Heartbeat(text)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_survived(text: str) -> None:
    assert isinstance(read_control(text), Unreadable)


def test_a_registration_and_its_removal() -> None:
    message = json.loads(subscribe("approval", AAPL))
    assert message["header"] == {
        "approval_key": "approval", "custtype": "P", "tr_type": "1", "content-type": "utf-8",
    }  # fmt: skip
    assert message["body"]["input"] == {"tr_id": "HDFSCNT0", "tr_key": "DNASAAPL"}
    assert json.loads(subscribe("approval", AAPL, remove=True))["header"]["tr_type"] == "2"


def test_keys_of_exchanges() -> None:
    assert [registration("A", exchange).key for exchange in ("XNAS", "XNYS", "XASE")] == [
        "DNASA",
        "DNYSA",
        "DAMSA",
    ]
    assert registration("AAPL", "XNAS", daytime=True).key == "RBAQAAPL"
    with pytest.raises(UnknownExchange, match="XLON"):
        registration("VOD", "XLON")


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"rt_cd": "1", "msg_cd": "EGW00201"}, Meaning.RATE_EXCEEDED),
        (500, {"rt_cd": "1", "msg_cd": "EGW00201"}, Meaning.RATE_EXCEEDED),
        (429, None, Meaning.RATE_EXCEEDED),
        (200, {"rt_cd": "1", "msg_cd": "EGW00123"}, Meaning.TOKEN_EXPIRED),
        (401, {"rt_cd": "1", "msg_cd": "EGW00123"}, Meaning.TOKEN_EXPIRED),
        (500, {"rt_cd": "1", "msg_cd": "EGW00123"}, Meaning.TOKEN_EXPIRED),
        (403, {"error_code": "EGW00133"}, Meaning.TOKEN_TOO_SOON),
        (403, {"error_code": "EGW00105"}, Meaning.REFUSED),
        (200, {"rt_cd": "7", "msg_cd": "OPSQ2001"}, Meaning.REFUSED),
        (502, None, Meaning.BROKEN),
        (200, None, Meaning.BROKEN),
        (503, {"msg_cd": ""}, Meaning.BROKEN),
    ],
)
def test_failures_by_their_meaning(status: int, body: dict[str, str] | None, meaning: Meaning) -> None:
    with pytest.raises(KisError) as error:
        read_answer(status, b"<html>" if body is None else json.dumps(body).encode())
    assert error.value.meaning is meaning


def test_a_price_is_read_from_the_fields_that_exist() -> None:
    answer = {"rt_cd": "0", "output": {"rsym": "DNASAAPL", "last": "259.0200", "tvol": "4629", "open": ""}}
    assert read_price(answer, AAPL) == Price(259.02, 4629)


@pytest.mark.parametrize(
    "output",
    [
        None,
        {"rsym": "DNASMSFT", "last": "1", "tvol": "1"},
        {"rsym": "DNASAAPL", "last": "", "tvol": "1"},
        {"rsym": "DNASAAPL", "last": "0.0000", "tvol": "1"},
        {"rsym": "DNASAAPL", "last": "1"},
    ],
)
def test_an_answer_without_a_price_is_no_price(output: dict[str, str] | None) -> None:
    with pytest.raises(MalformedTick):
        read_price({"rt_cd": "0", "output": output}, AAPL)


def test_a_look_gives_a_tick_only_where_something_was_traded() -> None:
    looks = Looks("kis", lambda _ts: MarketSession.REGULAR)
    assert looks.tick("AAPL", Price(10, 100), 1000) is None, "nobody knows when this was"
    assert looks.tick("AAPL", Price(10, 100), 2000) is None, "nothing was traded"
    traded = looks.tick("AAPL", Price(11, 130), 3000)
    assert traded is not None
    assert (traded.price, traded.volume, traded.ts) == (11, 30, 3000)
    next_day = looks.tick("AAPL", Price(12, 5), 4000)
    assert next_day is not None
    assert next_day.volume == 5


def test_daily_bars_are_read_from_output2() -> None:
    row = {"xymd": "20241227", "open": "10", "high": "12.5", "low": "9", "clos": "11", "tvol": "1000"}
    bars = read_daily(
        {"rt_cd": "0", "output2": [row, {"xymd": ""}, {**row, "open": "0", "low": "0"}]}, "AAPL"
    )
    assert bars == [Bar(session_from_date(date(2024, 12, 27)), 10, 12.5, 9, 11, 1000)], "no trade, no bar"
    for wrong in (
        {"output": []},
        {"output2": [{**row, "clos": ""}]},
        {"output2": [{**row, "xymd": "20241332"}]},
    ):
        with pytest.raises(MalformedTick):
            read_daily(wrong, "AAPL")
