"""How KIS calls exchanges and symbols.

From KIS's own samples (examples_llm/overseas_stock): a registration's key is D + exchange + symbol,
`DNASAAPL`; in the daytime session, in which Korean brokers trade US stocks, R + another exchange code,
`RBAQAAPL`. Domestic keys are the six digits of the stock. Share classes are written with a slash: BRK.B is
BRK/B.
"""

from typing import NamedTuple

OVERSEAS_TRADE = "HDFSCNT0"
DOMESTIC_TRADE = "H0STCNT0"
DOMESTIC_EXCHANGE = "XKRX"
_REGULAR = {"XNAS": "NAS", "XNYS": "NYS", "XASE": "AMS"}
_DAYTIME = {"XNAS": "BAQ", "XNYS": "BAY", "XASE": "BAA"}


class UnknownExchange(ValueError):
    """KIS has no code for this exchange, or no daytime session on it."""


class Registration(NamedTuple):
    """What is registered on a websocket, or asked for by REST."""

    symbol: str
    """As in the pipeline."""
    transaction: str
    """KIS's `tr_id`: which kind of message."""
    key: str
    """KIS's `tr_key`, also the first field of each of its records."""
    exchange: str
    """KIS's `EXCD`; empty for domestic stocks."""
    daytime: bool = False

    @property
    def code(self) -> str:
        """The symbol as KIS writes it."""
        return kis_symbol(self.symbol)


def kis_symbol(symbol: str) -> str:
    """Return the symbol as KIS writes it."""
    return symbol.replace(".", "/")


def registration(symbol: str, exchange: str, *, daytime: bool = False) -> Registration:
    """Return how KIS calls a symbol of an exchange (ISO 10383).

    Raises:
        UnknownExchange: KIS has no code for it.
    """
    if exchange == DOMESTIC_EXCHANGE and not daytime:
        return Registration(symbol, DOMESTIC_TRADE, symbol, "")
    codes = _DAYTIME if daytime else _REGULAR
    if exchange not in codes:
        session = " in the daytime session" if daytime else ""
        raise UnknownExchange(f"KIS has no trades of {exchange}{session}; it has {', '.join(codes)}")
    code = codes[exchange]
    prefix = "R" if daytime else "D"
    return Registration(symbol, OVERSEAS_TRADE, f"{prefix}{code}{kis_symbol(symbol)}", code, daytime)
