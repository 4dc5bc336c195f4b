"""Frames of trades: what is read is what was sent, and what cannot be right is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MalformedReason, MarketSession, Tick, check_tick
from stockpipeline.sources.kis.frames import TradeDecoder
from stockpipeline.sources.kis.keys import Registration, registration
from stockpipeline.sources.session_kind import SessionKind
from tests.stand_ins.kis import trade_record
from tests.stand_ins.market import Stock

RECORDED = (
    "DNASAAPL^AAPL^4^20241227^20241227^070229^20241227^210229^258.6000^259.0200^258.4000^259.0200^3^0.0000^0.00^"
    "258.9600^259.2200^200^20^10^4629^1198097^2222^680^30.60^1"
)
KIND = SessionKind(SessionCalendar("XNAS"))
KNOWN = {
    one.key: one
    for one in (
        registration("AAPL", "XNAS"),
        registration("MSFT", "XNAS"),
        registration("BRK.B", "XNYS"),
        registration("AAPL", "XNAS", daytime=True),
        registration("005930", "XKRX"),
    )
}


def decoder(known: dict[str, Registration] = KNOWN) -> TradeDecoder:
    return TradeDecoder("kis", known, KIND)


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def test_a_recorded_frame() -> None:
    decoded = decoder().decode(f"0|HDFSCNT0|001|{RECORDED}")
    assert decoded.refused == []
    assert decoded.ticks == [
        Tick("AAPL", 259.02, 10, ms(2024, 12, 27, 12, 2, 29), "kis", MarketSession.PRE, None, 258.96, 259.22)
    ]


def test_many_records_in_one_frame_and_a_bad_one_among_them() -> None:
    records = [RECORDED, RECORDED.replace("^259.0200^3", "^0.0000^3"), RECORDED.replace("AAPL", "MSFT")]
    decoded = decoder().decode(f"0|HDFSCNT0|003|{'^'.join(records)}")
    assert [tick.symbol for tick in decoded.ticks] == ["AAPL", "MSFT"]
    assert [(one.reason, one.data) for one in decoded.refused] == [
        (MalformedReason.BAD_PRICE, records[1].encode())
    ]


def test_the_daytime_session_and_a_share_class() -> None:
    daytime = RECORDED.replace("DNASAAPL", "RBAQAAPL").replace("^20241227^070229^", "^20241227^210229^")
    decoded = decoder().decode(f"0|HDFSCNT0|001|{daytime}")
    assert [tick.session for tick in decoded.ticks] == [MarketSession.DAYTIME]
    decoded = decoder().decode("0|HDFSCNT0|001|" + RECORDED.replace("DNASAAPL^AAPL", "DNYSBRK/B^BRK/B"))
    assert [tick.symbol for tick in decoded.ticks] == ["BRK.B"]


def test_a_domestic_trade() -> None:
    fields = ["0"] * 46
    fields[0], fields[1], fields[2], fields[10], fields[11] = "005930", "093001", "71000", "71100", "71000"
    fields[12], fields[13], fields[33] = "25", "1000", "20241227"
    korea = TradeDecoder("kis", KNOWN, lambda _ts: MarketSession.REGULAR)
    decoded = korea.decode(f"0|H0STCNT0|001|{'^'.join(fields)}")
    assert decoded.ticks == [
        Tick(
            "005930", 71000, 25, ms(2024, 12, 27, 0, 30, 1), "kis", MarketSession.REGULAR, None, 71000, 71100
        )
    ]


def test_korean_time_decides_and_the_exchanges_must_agree() -> None:
    # Summer: New York is four hours behind UTC.
    summer = RECORDED.replace("^20241227^070229^20241227^210229^", "^20240702^100000^20240702^230000^")
    assert decoder().decode(f"0|HDFSCNT0|001|{summer}").ticks[0].ts == ms(2024, 7, 2, 14)
    wrong = RECORDED.replace("^070229^", "^070329^")
    assert decoder().decode(f"0|HDFSCNT0|001|{wrong}").refused[0].reason is MalformedReason.BAD_TIME


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", MalformedReason.BAD_FIELDS),
        ("0|HDFSCNT0|001", MalformedReason.BAD_FIELDS),
        (f"1|HDFSCNT0|001|{RECORDED}", MalformedReason.BAD_FIELDS),
        (f"0|HDFSCNT9|001|{RECORDED}", MalformedReason.BAD_FIELDS),
        (f"0|HDFSCNT0|002|{RECORDED}", MalformedReason.BAD_FIELDS),
        (f"0|HDFSCNT0|000|{RECORDED}", MalformedReason.BAD_FIELDS),
        (f"0|HDFSCNT0|001|{RECORDED[:100]}", MalformedReason.BAD_FIELDS),
        (f"0|HDFSCNT0|001|{RECORDED}^", MalformedReason.BAD_FIELDS),
        (f"0|HDFSCNT0|001|{RECORDED.replace('DNASAAPL', 'DNASNVDA')}", MalformedReason.BAD_SYMBOL),
        (f"0|HDFSCNT0|001|{RECORDED.replace('^AAPL^', '^MSFT^')}", MalformedReason.BAD_SYMBOL),
        (f"0|HDFSCNT0|001|{RECORDED.replace('^259.0200^3^', '^259_02^3^')}", MalformedReason.BAD_PRICE),
        (f"0|HDFSCNT0|001|{RECORDED.replace('^259.0200^3^', '^nan^3^')}", MalformedReason.BAD_PRICE),
        (f"0|HDFSCNT0|001|{RECORDED.replace('^20^10^', '^20^-10^')}", MalformedReason.BAD_VOLUME),
        (f"0|HDFSCNT0|001|{RECORDED.replace('^210229^', '^256199^')}", MalformedReason.BAD_TIME),
        (f"0|HDFSCNT0|001|{RECORDED.replace('^20241227^2102', '^20241327^2102')}", MalformedReason.BAD_TIME),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_bytes(frame: str, reason: MalformedReason) -> None:
    decoded = decoder().decode(frame)
    assert decoded.ticks == []
    assert [one.reason for one in decoded.refused] == [reason]
    assert decoded.refused[0].data.decode() in frame


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    for frame in (text, f"0|HDFSCNT0|001|{text}", f"0|H0STCNT0|001|{text}"):
        assert decoder().decode(frame).ticks == []


@given(st.data())
def test_damage_never_gives_a_wrong_field(data: st.DataObject) -> None:
    """Cut, doubled or replaced anywhere: what still is a tick has only values that stood in their places."""
    stock = Stock("AAPL", 259.02, last_size=10, day_volume=4629)
    frame = f"0|HDFSCNT0|001|{trade_record('DNASAAPL', stock, datetime(2024, 12, 27, 15, tzinfo=UTC))}"
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, min(len(frame), start + 12)))
    damaged = frame[:start] + data.draw(st.text(alphabet="^|0.9-Ae_ \u0661", max_size=6)) + frame[end:]
    for tick in decoder().decode(damaged).ticks:
        check_tick(tick)
        fields = damaged.split("|", 3)[3].split("^")
        assert tick.symbol == fields[1] == "AAPL"
        assert (tick.price, tick.volume) == (float(fields[11]), float(fields[19]))
        korea = datetime.strptime(f"{fields[6]}{fields[7]}+0900", "%Y%m%d%H%M%S%z")
        assert tick.ts == korea.timestamp() * 1000


def test_every_cut_of_a_frame_is_refused_whole() -> None:
    frame = f"0|HDFSCNT0|002|{RECORDED}^{RECORDED.replace('AAPL', 'MSFT')}"
    for end in range(len(frame) - 1):
        decoded = decoder().decode(frame[:end])
        # But for the last field, which is not read.
        assert decoded.ticks == [] or frame[end:].count("^") == 0
