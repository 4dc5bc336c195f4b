import pytest

from stockpipeline.market.action_record import decode_action, encode_action
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.ticks import MalformedTick, decode_tick


def test_the_wire_format() -> None:
    action = CorporateAction(12_842, split=2.0)
    data = b'{"symbol":"AAPL","corporateAction":{"date":"2005-02-28","split":2.0,"dividend":0.0}}'
    assert encode_action("AAPL", action) == data
    assert decode_action(data) == ("AAPL", action)
    with pytest.raises(MalformedTick):
        decode_tick(data)


def test_what_is_left_out_did_not_happen() -> None:
    both = CorporateAction(12_842, split=0.5, dividend=0.25)
    assert decode_action(encode_action("IBM", both)) == ("IBM", both)
    assert decode_action(b'{"symbol":"IBM","corporateAction":{"date":"2005-02-28"}}') == (
        "IBM",
        CorporateAction(12_842),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"symbol":"IBM"}',
        b'{"symbol":"IBM","corporateAction":{"date":"soon"}}',
        b'{"symbol":"IBM","corporateAction":{"date":"2005-02-28","split":"2:1"}}',
    ],
)
def test_anything_else_is_none(data: bytes) -> None:
    assert decode_action(data) is None
