"""Which symbols a pipeline is about: named one by one, and for the batch what an exchange lists."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Matches, Unique
from stockpipeline.api.spec.texts import HttpUrl, Symbol


class Exchange(StrEnum):
    """Exchanges by their ISO 10383 market identifier code."""

    XNAS = "XNAS"
    XNYS = "XNYS"
    XASE = "XASE"


class Listing(StrEnum):
    """Lists of symbols that can be collected."""

    NASDAQ = "NASDAQ"


class Tier(ApiModel):
    """A group of symbols by size, for example mega, large, mid."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=32),
        Matches(
            r"[a-z]([\-a-z0-9]*[a-z0-9])?",
            "a tier's name is made of a-z, 0-9 and '-' and begins with a letter",
        ),
    ]
    """Name of the tier, as the watchlist shows it."""

    minimum_market_cap: Annotated[int, Field(ge=0)]
    """Smallest market capitalisation in the tier, in US dollars. A symbol belongs to the highest tier it
    reaches."""


class Collection(ApiModel):
    """Symbols taken from an exchange's listing, without ETFs and test issues."""

    listing: Listing = Listing.NASDAQ
    """Whose listing to collect: NASDAQ."""

    minimum_market_cap: Annotated[int, Field(ge=0)] = 0
    """Smallest market capitalisation to take, in US dollars. 0: all, also those whose size is not known."""

    minimum_share: Annotated[float, Field(ge=0, le=1)] = 0.9
    """A new listing with fewer symbols than this share of the last one is refused, and the last one kept."""

    tiers: Annotated[tuple[Tier, ...], Field(max_length=16), Unique("name")] = ()
    """Groups by market capitalisation."""

    directory_url: HttpUrl | None = None
    """URL of the list of what is traded, in place of NASDAQ's own nasdaqlisted.txt."""

    screener_url: HttpUrl | None = None
    """URL of the list with market capitalisations, in place of NASDAQ's own screener."""


class Universe(ApiModel):
    """Which symbols the pipeline follows, and on which exchange."""

    symbols: Annotated[tuple[Symbol, ...], Field(max_length=5000), Unique()] = ()
    """Symbols to follow live, as the exchange writes them. Each may appear once."""

    exchange: Exchange = Exchange.XNAS
    """Market identifier code (ISO 10383) of the exchange; its calendar gives sessions, holidays and hours."""

    collect: Collection | None = None
    """What an exchange lists, for the nightly batch: it works on these symbols beside the ones that are
    named, which alone are followed live. Needs `batch`."""

    checks = (
        Check(
            "size(self.symbols) > 0 || has(self.collect)",
            "universe needs symbols, or collect",
            lambda universe: bool(universe.symbols) or universe.collect is not None,
        ),
    )
