"""A split or dividend as it travels to the detector: in the ticks topic, among its symbol's ticks.

There it has its place in their order, is read exactly as often as they are, and needs no other way that could
be ahead or behind. Wire format (UTF-8 JSON, keyed by symbol like a tick):

    {"symbol":"AAPL","corporateAction":{"date":"2005-02-28","split":2.0,"dividend":0.0}}

``date`` is the first day at the new terms (the ex-date), ``split`` new shares per old one, ``dividend`` cash
per share; what is left out did not happen. Ticks of that day come after it.
"""

import datetime

import msgspec

from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.sessions import session_date, session_from_date


class _Terms(msgspec.Struct, frozen=True):
    date: datetime.date
    split: float = 1.0
    dividend: float = 0.0


class _Record(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    corporate_action: _Terms


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Record)


def encode_action(symbol: str, action: CorporateAction) -> bytes:
    """Return the record of an action."""
    terms = _Terms(session_date(action.session), action.split, action.dividend)
    return _encoder.encode(_Record(symbol, terms))


def decode_action(data: bytes) -> tuple[str, CorporateAction] | None:
    """Return symbol and action of a record, or None for anything else."""
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    terms = record.corporate_action
    return record.symbol, CorporateAction(session_from_date(terms.date), terms.split, terms.dividend)
