"""Frames of KIS's websocket: `0|HDFSCNT0|002|` and twice 26 fields joined by `^`.

The fields are those of KIS's sample `overseas_stock/delayed_ccnl` (HDFSCNT0) and `domestic_stock/ccnl_krx`
(H0STCNT0). Everything in a frame is text, and nothing in it says which field is which: so the number of
fields must be exactly right, and each that is used must look exactly like what it should be. What does not is
refused with its bytes, never guessed.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stockpipeline.market.ticks import (
    MAX_EVENT_TIME_MS,
    MAX_PRICE,
    MAX_VOLUME,
    MalformedReason,
    MarketSession,
    Tick,
)
from stockpipeline.sources.kis.keys import DOMESTIC_TRADE, OVERSEAS_TRADE, Registration
from stockpipeline.sources.kis.times import BadTime, Times

OVERSEAS_FIELDS = 26
DOMESTIC_FIELDS = 46
_FIELDS = {OVERSEAS_TRADE: OVERSEAS_FIELDS, DOMESTIC_TRADE: DOMESTIC_FIELDS}
_MAX_RECORDS = 999
# Not float(): it takes "1_0", "nan", " 1" and digits of other scripts.
is_number = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,8})?", re.ASCII).fullmatch


class Refused(NamedTuple):
    """What could not be used: the whole frame, or one record of it."""

    reason: MalformedReason
    message: str
    data: bytes


class Decoded(NamedTuple):
    """The trades of a frame, and what of it was refused."""

    ticks: list[Tick]
    refused: list[Refused]


class _Bad(Exception):
    def __init__(self, reason: MalformedReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TradeDecoder:
    """Reads the frames of one source.

    ``registrations`` has what may come, by KIS's key; it may change while frames come. ``session_at`` says
    which kind of session an event time (epoch ms) is in.
    """

    def __init__(
        self,
        source: str,
        registrations: Mapping[str, Registration],
        session_at: Callable[[int], MarketSession],
    ) -> None:
        self._source = source
        self._registrations = registrations
        self._session_at = session_at
        self._times = Times()

    def decode(self, frame: str) -> Decoded:
        """Return the trades in a frame; never raises."""
        ticks: list[Tick] = []
        refused: list[Refused] = []
        try:
            transaction, count, body = _split(frame)
        except _Bad as bad:
            return Decoded(ticks, [Refused(bad.reason, str(bad), _bytes(frame))])
        width = _FIELDS[transaction]
        fields = body.split("^")
        if len(fields) != count * width:
            message = f"{len(fields)} fields, not {count} records of {width}"
            return Decoded(ticks, [Refused(MalformedReason.BAD_FIELDS, message, _bytes(frame))])
        read = self._overseas if transaction == OVERSEAS_TRADE else self._domestic
        for start in range(0, len(fields), width):
            record = fields[start : start + width]
            try:
                ticks.append(read(record))
            except _Bad as bad:
                refused.append(Refused(bad.reason, str(bad), _bytes("^".join(record))))
        return Decoded(ticks, refused)

    def _overseas(self, record: list[str]) -> Tick:
        known = self._known(record[0], OVERSEAS_TRADE)
        if record[1] != known.code:
            raise _Bad(
                MalformedReason.BAD_SYMBOL, f"the key {record[0]} does not fit the symbol {record[1]!r}"
            )
        try:
            # What the daytime session has for the exchange's time is not documented.
            ts = self._times.event_ms(record[6], record[7], record[4], record[5], check=not known.daytime)
        except BadTime as error:
            raise _Bad(MalformedReason.BAD_TIME, f"{known.symbol}: {error}") from None
        session = MarketSession.DAYTIME if known.daytime else self._session_at(ts)
        return self._tick(known.symbol, record[11], record[19], ts, session, record[15], record[16])

    def _domestic(self, record: list[str]) -> Tick:
        known = self._known(record[0], DOMESTIC_TRADE)
        try:
            ts = self._times.korea_ms(record[33], record[1])
        except BadTime as error:
            raise _Bad(MalformedReason.BAD_TIME, f"{known.symbol}: {error}") from None
        return self._tick(
            known.symbol, record[2], record[12], ts, self._session_at(ts), record[11], record[10]
        )

    def _known(self, key: str, transaction: str) -> Registration:
        known = self._registrations.get(key)
        if known is None or known.transaction != transaction:
            raise _Bad(MalformedReason.BAD_SYMBOL, f"{key[:32]!r} is not registered")
        return known

    def _tick(
        self, symbol: str, price: str, volume: str, ts: int, session: MarketSession, bid: str, ask: str
    ) -> Tick:
        if not is_number(price) or not 0.0 < (last := float(price)) < MAX_PRICE:
            raise _Bad(MalformedReason.BAD_PRICE, f"{symbol}: {price[:32]!r} is no price")
        if not is_number(volume) or not (traded := float(volume)) < MAX_VOLUME:
            raise _Bad(MalformedReason.BAD_VOLUME, f"{symbol}: {volume[:32]!r} is no volume")
        if not 0 < ts < MAX_EVENT_TIME_MS:
            raise _Bad(MalformedReason.BAD_TIME, f"{symbol}: ts {ts} is not in 1970 to 2100")
        return Tick(symbol, last, traded, ts, self._source, session, None, _quote(bid), _quote(ask))


def _split(frame: str) -> tuple[str, int, str]:
    parts = frame.split("|", 3)
    if len(parts) != 4 or not frame.isascii():
        raise _Bad(MalformedReason.BAD_FIELDS, "not FLAG|TR|COUNT|FIELDS in ASCII")
    encrypted, transaction, count, body = parts
    if encrypted != "0":
        raise _Bad(MalformedReason.BAD_FIELDS, f"flag {encrypted[:8]!r}: trades are not encrypted")
    if transaction not in _FIELDS:
        raise _Bad(
            MalformedReason.BAD_FIELDS, f"{transaction[:32]!r} is not a kind of trade that was asked for"
        )
    if not count.isdigit() or len(count) > 3 or not 0 < int(count) <= _MAX_RECORDS:
        raise _Bad(MalformedReason.BAD_FIELDS, f"{count[:32]!r} is no number of records")
    return transaction, int(count), body


def _quote(text: str) -> float | None:
    """Return a bid or an ask; there is none where KIS says 0."""
    if not is_number(text):
        return None
    value = float(text)
    return value if 0.0 < value < MAX_PRICE else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
