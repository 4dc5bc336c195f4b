"""NASDAQ's lists of what is traded there, from the network or from files."""

import http.client
import urllib.request
from pathlib import Path
from typing import NamedTuple

from stockpipeline.api import Collection
from stockpipeline.market.listing import Listed, join, read_directory, read_screener

DIRECTORY_URL = "https://www.nasdaqtrader.com/dynamic/symdir/nasdaqlisted.txt"
SCREENER_URL = "https://api.nasdaq.com/api/screener/stocks?tableonly=true&exchange=NASDAQ&download=true"
_TIMEOUT_SECONDS = 30.0
_MAX_BYTES = 64 << 20


class ListingPlaces(NamedTuple):
    """Where the two lists are: each a URL, or the path of a file; None: where the collection says."""

    directory: str | None = None
    screener: str | None = None


def fetch_listing(collection: Collection, places: ListingPlaces) -> list[Listed]:
    """Return the stocks that a collection asks for, the largest first; blocks.

    Raises:
        OSError: a list cannot be had.
        BadListing: it is not what it should be.
    """
    directory = read_directory(_text(places.directory or collection.directory_url or DIRECTORY_URL))
    screener = read_screener(_text(places.screener or collection.screener_url or SCREENER_URL))
    tiers = [(tier.name, float(tier.minimum_market_cap)) for tier in collection.tiers]
    return join(directory, screener, collection.minimum_market_cap, tiers)


def _text(place: str) -> str:
    if not place.startswith(("http://", "https://")):
        return Path(place).read_text(encoding="utf-8", errors="replace")
    # The screener answers nobody who does not look like a browser.
    request = urllib.request.Request(place, headers={"User-Agent": "Mozilla/5.0", "Accept": "*/*"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            data: bytes = response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f"{place}: {getattr(error, 'reason', None) or error!r}") from error
    return data.decode("utf-8", "replace")
