"""KIS's answer to `price`, which has the last price and the day's volume, and no time.

So a trade is only known by its trace: more volume than at the last look. Its event time is then the time of
the look, at which the trade was not older than the time since the look before. A first look, and one that
found nothing new, give no tick: when that price was traded nobody knows.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from stockpipeline.market.ticks import (
    MAX_PRICE,
    MAX_VOLUME,
    MalformedReason,
    MalformedTick,
    MarketSession,
    Tick,
)
from stockpipeline.sources.kis.frames import is_number
from stockpipeline.sources.kis.keys import Registration


class Price(NamedTuple):
    """The last price and the volume of the day so far."""

    last: float
    day_volume: float


def read_price(answer: dict[str, Any], what: Registration) -> Price:
    """Return the price in an answer of HHDFS00000300 or FHKST01010100.

    Raises:
        MalformedTick: a field is missing, empty or no number, or the answer is about something else.
    """
    output = answer.get("output")
    if not isinstance(output, dict):
        raise MalformedTick(MalformedReason.BAD_FIELDS, f"{what.symbol}: the answer has no output")
    if what.exchange and output.get("rsym") != what.key:
        raise MalformedTick(
            MalformedReason.BAD_SYMBOL, f"asked for {what.key}, got {str(output.get('rsym'))[:32]}"
        )
    price, volume = ("last", "tvol") if what.exchange else ("stck_prpr", "acml_vol")
    return Price(
        _number(output, price, what, MalformedReason.BAD_PRICE, MAX_PRICE),
        _number(output, volume, what, MalformedReason.BAD_VOLUME, MAX_VOLUME),
    )


def _number(
    output: dict[str, Any], field: str, what: Registration, reason: MalformedReason, below: float
) -> float:
    text = output.get(field)
    if not isinstance(text, str) or not is_number(text) or not (value := float(text)) < below:
        raise MalformedTick(reason, f"{what.symbol}: {field} is {str(text)[:32]!r}")
    if reason is MalformedReason.BAD_PRICE and value <= 0.0:
        raise MalformedTick(reason, f"{what.symbol}: {field} is {text!r}: no price")
    return value


class Looks:
    """What the last look at each symbol showed."""

    def __init__(self, source: str, session_at: Callable[[int], MarketSession]) -> None:
        self._source = source
        self._session_at = session_at
        self._seen: dict[str, float] = {}

    def tick(self, symbol: str, price: Price, now_ms: int) -> Tick | None:
        """Return the trade that a look shows, or None where it shows none."""
        before = self._seen.get(symbol)
        self._seen[symbol] = price.day_volume
        if before is None or price.day_volume == before or price.day_volume == 0.0:
            return None
        # Less than before: another day has begun.
        traded = price.day_volume - before if price.day_volume > before else price.day_volume
        return Tick(symbol, price.last, traded, now_ms, self._source, self._session_at(now_ms))

    def forget(self, symbols: Iterable[str]) -> None:
        """Begin anew for symbols that something else brings: what it brought must not count twice."""
        for symbol in symbols:
            self._seen.pop(symbol, None)
