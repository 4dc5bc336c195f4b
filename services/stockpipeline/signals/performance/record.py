"""The performance of one signal as it goes to the topic, to Redis and to files: JSON, keyed by its id.

    {"id":"…","pipeline":"default/demo","symbol":"AAPL","rule":"rsi-oversold","side":"buy","confidence":1.0,
     "bar":"2024-01-03","status":"closed","signal":{"ts":…,"price":187.44},"entry":{"ts":…,"price":187.45},
     "live":null,
     "horizons":{"1h":{"due":…,"exit":{"ts":…,"price":188.1},"return":0.00347,"net_return":0.00247,
                       "excess":0.0011,"mfe":0.0041,"mae":-0.0007,"time_to_mfe":1803.2}}}

``status``: ``waiting`` (for the first trade after the signal), ``open``, ``closed``. A horizon that is not
reached is null, ``excess`` is null without a benchmark or while its price is not known. ``live`` is the same
figures as of the newest trade while open. Times are epoch ms, ``time_to_mfe`` is trading time in seconds,
returns are fractions (0.01 is one percent). What is closed never changes.
"""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.signals.performance.position import Excursion, Position, Quote


class Status(StrEnum):
    """How far a position is."""

    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


class Price(msgspec.Struct, frozen=True, gc=False):
    """A trade, for readers."""

    ts: int
    price: float


class Result(msgspec.Struct, frozen=True, gc=False):
    """What a position had earned at one trade."""

    due: int | None
    """When it was to be taken; null for the live one."""
    exit: Price
    gross: float = msgspec.field(name="return")
    net_return: float
    excess: float | None
    mfe: float
    mae: float
    time_to_mfe: float


class Performance(msgspec.Struct, frozen=True):
    """The performance of one signal (see the module)."""

    id: str
    pipeline: str
    symbol: str
    rule: str
    side: str
    confidence: float
    bar: str
    status: Status
    signal: Price
    entry: Price | None
    live: Result | None
    horizons: dict[str, Result | None]


class Terms(NamedTuple):
    """What returns depend on besides the position."""

    pipeline: str
    cost: float
    """Share of its price that each trade costs."""
    calendar: SessionCalendar


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Performance)


def performance(
    terms: Terms, symbol: str, position: Position, now: Quote | None, *, closed: bool = False
) -> Performance:
    """Return the performance of a position; ``now`` is the symbol's newest trade, as far as there is one."""
    status = Status.CLOSED if closed else Status.WAITING if position.entry is None else Status.OPEN
    live = None
    if now is not None and position.excursion is not None and not closed:
        live = _result(terms, position, now, position.excursion, None)
    exits = zip(position.horizons, position.due, position.exits, strict=True)
    return Performance(
        id=position.signal_id,
        pipeline=terms.pipeline,
        symbol=symbol,
        rule=position.rule,
        side=position.side,
        confidence=position.confidence,
        bar=position.bar,
        status=status,
        signal=_price(position.signal),
        entry=None if position.entry is None else _price(position.entry),
        live=live,
        horizons={
            name: None if made is None else _result(terms, position, made.quote, made.excursion, due)
            for name, due, made in exits
        },
    )


def encode_performance(record: Performance) -> bytes:
    """Return the record as one line of JSON, without a newline."""
    return _encoder.encode(record)


def decode_performance(data: bytes) -> Performance:
    """Return the record in ``data``; raise ``msgspec.DecodeError`` for anything else."""
    return _decoder.decode(data)


def _result(terms: Terms, position: Position, quote: Quote, excursion: Excursion, due: int | None) -> Result:
    assert position.entry is not None
    gross = position.return_at(quote.price)
    benchmark = position.benchmark_return_at(quote.ts)
    began = terms.calendar.trading_ms(position.entry.ts)
    return Result(
        due=due,
        exit=_price(quote),
        gross=gross,
        net_return=position.net_return_at(quote.price, terms.cost),
        excess=None if benchmark is None else gross - benchmark,
        mfe=position.return_at(excursion.best.price),
        mae=position.return_at(excursion.worst.price),
        time_to_mfe=(terms.calendar.trading_ms(excursion.best.ts) - began) / 1000,
    )


def _price(quote: Quote) -> Price:
    return Price(quote.ts, quote.price)
