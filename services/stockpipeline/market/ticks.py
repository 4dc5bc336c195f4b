"""One trade as it travels from a source to the detector, and its JSON form.

Wire format (UTF-8 JSON, one object per message): ``symbol, price, volume, ts, source, session`` and, where
the source knows them, ``seq, bid, ask``. ``decode_tick`` is strict: whatever it returns may enter a bar;
everything else raises ``MalformedTick`` with a reason that dead-letter topics and metrics carry as it is.
"""

from enum import StrEnum

import msgspec

# Beyond these a value is a mistake (another unit, another field), and sums of them might lose precision.
MAX_PRICE = 1e12
MAX_VOLUME = 1e15
MAX_EVENT_TIME_MS = 4_102_444_800_000
"""2100-01-01T00:00Z."""
MAX_NUMBER = 1 << 53
MAX_SYMBOL_LENGTH = 16
MAX_SOURCE_LENGTH = 63
"""In characters, as in the resource; whatever carries a tick's names on has a bounded size then."""


class MarketSession(StrEnum):
    """The kind of trading session a tick was made in."""

    REGULAR = "regular"
    PRE = "pre"
    POST = "post"
    DAYTIME = "daytime"


class MalformedReason(StrEnum):
    """Why bytes are not a tick."""

    BAD_JSON = "bad-json"
    BAD_FIELDS = "bad-fields"
    BAD_SYMBOL = "bad-symbol"
    BAD_PRICE = "bad-price"
    BAD_VOLUME = "bad-volume"
    BAD_TIME = "bad-time"
    BAD_SEQUENCE = "bad-sequence"
    BAD_ACTION = "bad-action"


class MalformedTick(ValueError):
    """These bytes, or this object, are no valid tick; ``reason`` is a stable code, the message a sentence."""

    def __init__(self, reason: MalformedReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Tick(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One trade.

    ``price`` in the symbol's currency (> 0), ``volume`` in shares (≥ 0), ``ts`` the exchange's event time in
    epoch milliseconds, ``source`` the name of the source in the pipeline, ``seq`` the source's own number per
    symbol, from 1.
    """

    symbol: str
    price: float
    volume: float
    ts: int
    source: str
    session: MarketSession
    seq: int | None = None
    bid: float | None = None
    ask: float | None = None


_decoder = msgspec.json.Decoder(Tick)
_encoder = msgspec.json.Encoder()


def encode_tick(tick: Tick) -> bytes:
    """Return the tick as one line of JSON, without a newline; absent optional fields are left out."""
    return _encoder.encode(tick)


def decode_tick(data: bytes) -> Tick:
    """Return the valid tick in ``data``; raise ``MalformedTick`` for everything else. Unknown fields pass."""
    try:
        tick = _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise MalformedTick(MalformedReason.BAD_FIELDS, f"not a tick: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedTick(MalformedReason.BAD_JSON, f"not JSON: {error}") from None
    check_tick(tick)
    return tick


def check_tick(tick: Tick) -> None:
    """Raise ``MalformedTick`` unless names have a usable length and every number may enter a bar.

    Written as positive ranges because every comparison with NaN is false.
    """
    if not tick.symbol:
        raise MalformedTick(MalformedReason.BAD_SYMBOL, "the symbol is empty")
    if len(tick.symbol) > MAX_SYMBOL_LENGTH:
        raise MalformedTick(
            MalformedReason.BAD_SYMBOL,
            f"the symbol {tick.symbol[:MAX_SYMBOL_LENGTH]}… has {len(tick.symbol)} characters, "
            f"{MAX_SYMBOL_LENGTH} are the most",
        )
    if len(tick.source) > MAX_SOURCE_LENGTH:
        raise MalformedTick(
            MalformedReason.BAD_FIELDS,
            f"{tick.symbol}: the source's name has {len(tick.source)} characters, "
            f"{MAX_SOURCE_LENGTH} are the most",
        )
    if not 0.0 < tick.price < MAX_PRICE:
        raise MalformedTick(MalformedReason.BAD_PRICE, f"{tick.symbol}: {tick.price} is no price")
    if not 0.0 <= tick.volume < MAX_VOLUME:
        raise MalformedTick(MalformedReason.BAD_VOLUME, f"{tick.symbol}: {tick.volume} is no volume")
    if not 0 < tick.ts < MAX_EVENT_TIME_MS:
        raise MalformedTick(
            MalformedReason.BAD_TIME,
            f"{tick.symbol}: ts {tick.ts} is not in epoch milliseconds, 1970 to 2100",
        )
    if tick.seq is not None and not 0 < tick.seq < MAX_NUMBER:
        raise MalformedTick(MalformedReason.BAD_SEQUENCE, f"{tick.symbol}: {tick.seq} is no sequence number")
