"""Which symbols an exchange lists: NASDAQ's directory joined with its screener. Pure.

The directory (`nasdaqlisted.txt`) knows what is an ETF or a test issue; the screener knows market
capitalisation and sector. A symbol has to be in the directory; what the screener does not know is not known.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_HEADER = "Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares"


class BadListing(ValueError):
    """A file that is not what it should be; the message says where."""


class ShrunkenListing(ValueError):
    """Too few symbols in comparison with the last listing."""


class Listed(NamedTuple):
    """One listed stock; ``market_cap`` in US dollars, None where it is not known."""

    symbol: str
    name: str
    market_cap: float | None = None
    sector: str = ""
    tier: str = ""


class _Row(NamedTuple):
    symbol: str
    name: str
    test: bool
    etf: bool


def read_directory(text: str) -> list[_Row]:
    """Return the rows of `nasdaqlisted.txt`.

    Raises:
        BadListing: it is another file, or was cut off before its last line.
    """
    lines = text.splitlines()
    if not lines or lines[0].strip() != _HEADER:
        raise BadListing(f"line 1: this is not nasdaqlisted.txt, which begins with {_HEADER}")
    if not lines[-1].startswith("File Creation Time"):
        raise BadListing(f"line {len(lines)}: the file is cut off: its last line is no File Creation Time")
    rows = []
    for number, line in enumerate(lines[1:-1], 2):
        cells = line.split("|")
        if len(cells) != 8 or cells[3] not in ("Y", "N") or not cells[0]:
            raise BadListing(f"line {number}: {line[:80]!r} is no row of eight cells")
        rows.append(_Row(cells[0].strip(), cells[1].strip(), cells[3] == "Y", cells[6] == "Y"))
    return rows


def read_screener(text: str) -> dict[str, tuple[float | None, str]]:
    """Return market capitalisation (None where it is not known) and sector by symbol.

    Raises:
        BadListing: it is not the screener's answer.
    """
    try:
        rows = json.loads(text)["data"]["rows"]
        return {str(row["symbol"]).strip(): (_cap(row), str(row.get("sector") or "")) for row in rows}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadListing(
            f"this is not the screener's answer with data.rows: {type(error).__name__}"
        ) from None


def _cap(row: Mapping[str, Any]) -> float | None:
    text = str(row.get("marketCap") or "").replace(",", "").removeprefix("$")
    try:
        cap = float(text)
    except ValueError:
        return None
    # The screener writes 0 where it knows none.
    return cap if 0.0 < cap < 1e15 else None


def join(
    directory: Sequence[_Row],
    screener: Mapping[str, tuple[float | None, str]],
    minimum_market_cap: float = 0,
    tiers: Sequence[tuple[str, float]] = (),
) -> list[Listed]:
    """Return the stocks that are neither ETFs nor test issues and reach the floor, the largest first.

    With a floor of 0 stocks whose size is not known are kept. A stock belongs to the tier with the highest
    minimum that it reaches.
    """
    found = []
    for row in directory:
        if row.test or row.etf:
            continue
        cap, sector = screener.get(row.symbol, (None, ""))
        if minimum_market_cap > 0 and (cap is None or cap < minimum_market_cap):
            continue
        reached = [(least, name) for name, least in tiers if cap is not None and cap >= least]
        found.append(Listed(row.symbol, row.name, cap, sector, max(reached)[1] if reached else ""))
    return sorted(found, key=lambda one: (-(one.market_cap or 0.0), one.symbol))


def check_share(count: int, before: int, minimum_share: float) -> None:
    """Refuse a listing that has shrunk.

    Raises:
        ShrunkenListing: it has fewer symbols than this share of the last one.
    """
    if count < before * minimum_share:
        raise ShrunkenListing(
            f"the new listing has {count} symbols, the last one had {before}: less than {minimum_share:.0%}"
        )
