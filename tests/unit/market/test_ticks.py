import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.ticks import (
    MAX_EVENT_TIME_MS,
    MAX_NUMBER,
    MAX_PRICE,
    MAX_VOLUME,
    MalformedReason,
    MalformedTick,
    MarketSession,
    Tick,
    check_tick,
    decode_tick,
    encode_tick,
)

GOOD = {
    "symbol": "AAPL",
    "price": 101.25,
    "volume": 300,
    "ts": 1_101_306_600_000,
    "source": "replay",
    "session": "regular",
    "seq": 7,
}

ticks = st.builds(
    Tick,
    symbol=st.text("ABC.-", min_size=1, max_size=8),
    price=st.floats(0, MAX_PRICE, exclude_min=True, exclude_max=True),
    volume=st.floats(0, MAX_VOLUME, exclude_max=True),
    ts=st.integers(1, MAX_EVENT_TIME_MS - 1),
    source=st.text("replay/é", max_size=8),
    session=st.sampled_from(MarketSession),
    seq=st.none() | st.integers(1, MAX_NUMBER - 1),
    bid=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ask=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(ticks)
def test_a_tick_survives_the_wire(tick: Tick) -> None:
    assert decode_tick(encode_tick(tick)) == tick


def test_the_wire_form_has_the_agreed_names_and_leaves_out_what_is_not_known() -> None:
    tick = decode_tick(json.dumps(GOOD).encode())
    assert json.loads(encode_tick(tick)) == GOOD


def test_unknown_fields_pass() -> None:
    assert decode_tick(json.dumps({**GOOD, "exchange": "Q"}).encode()) == decode_tick(
        json.dumps(GOOD).encode()
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": 0}, MalformedReason.BAD_PRICE),
        ({"price": -1.5}, MalformedReason.BAD_PRICE),
        ({"price": 1e300}, MalformedReason.BAD_PRICE),
        ({"price": None}, MalformedReason.BAD_FIELDS),
        ({"price": "101"}, MalformedReason.BAD_FIELDS),
        ({"volume": -1}, MalformedReason.BAD_VOLUME),
        ({"volume": 1e300}, MalformedReason.BAD_VOLUME),
        ({"ts": 0}, MalformedReason.BAD_TIME),
        ({"ts": 1_101_306_600_000_000}, MalformedReason.BAD_TIME),
        ({"ts": 1.5}, MalformedReason.BAD_FIELDS),
        ({"seq": 0}, MalformedReason.BAD_SEQUENCE),
        ({"seq": 1 << 60}, MalformedReason.BAD_SEQUENCE),
        ({"symbol": ""}, MalformedReason.BAD_SYMBOL),
        ({"symbol": "A" * 17}, MalformedReason.BAD_SYMBOL),
        ({"source": "s" * 64}, MalformedReason.BAD_FIELDS),
        ({"session": "lunch"}, MalformedReason.BAD_FIELDS),
    ],
)
def test_a_bad_value_is_refused_with_its_reason(change: dict[str, object], reason: MalformedReason) -> None:
    with pytest.raises(MalformedTick) as refused:
        decode_tick(json.dumps({**GOOD, **change}).encode())
    assert refused.value.reason is reason


@pytest.mark.parametrize("field", ["symbol", "price", "volume", "ts", "source", "session"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(MalformedTick, match=field) as refused:
        decode_tick(json.dumps({name: value for name, value in GOOD.items() if name != field}).encode())
    assert refused.value.reason is MalformedReason.BAD_FIELDS


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"nan", b'{"price": NaN}', b"\0" * 10, b'{"x":' + b"[" * 100_000]
)
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedTick) as refused:
        decode_tick(data)
    assert refused.value.reason is MalformedReason.BAD_JSON


@given(
    st.binary(max_size=200)
    | ticks.map(encode_tick).flatmap(lambda b: st.integers(0, len(b)).map(lambda n: b[:n]))
)
def test_any_bytes_are_a_tick_or_malformed(data: bytes) -> None:
    with suppress(MalformedTick):
        check_tick(decode_tick(data))


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_carry_are_refused_too(price: float) -> None:
    with pytest.raises(MalformedTick):
        check_tick(Tick("AAPL", price, 1.0, 1, "replay", MarketSession.REGULAR))
