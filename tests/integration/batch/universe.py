"""A made-up exchange on the stand-ins: stocks on NASDAQ's sessions, and what is not to be collected."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from stockpipeline.api import PipelineConfig
from stockpipeline.market.calendar import SessionCalendar
from tests.stand_ins.nasdaq import Listing, NasdaqServer
from tests.stand_ins.yahoo import Past, YahooServer

SESSIONS = SessionCalendar("XNAS").sessions_between(date(2023, 6, 1), date(2024, 6, 28))
SYMBOLS = tuple(f"S{number:02d}" for number in range(12))
DEAD = "DEAD1"


@dataclass
class Exchange:
    """Both servers."""

    nasdaq: NasdaqServer
    yahoo: YahooServer

    def trade(self, symbol: str, sessions: list[int]) -> None:
        """Give a stock a past on these sessions, the same for the same symbol."""
        chance, close = random.Random(symbol), 50.0
        days: dict[int, tuple[float | None, ...]] = {}
        for session in sessions:
            opened, close = close, round(close * chance.gauss(1, 0.02), 2)
            high, low = max(opened, close) + 0.25, min(opened, close) - 0.25
            days[session] = (opened, high, low, close, float(chance.randint(1000, 9000)))
        self.yahoo.past[symbol] = Past(days)

    def listing_words(self) -> list[str]:
        """Options that send `batch collect` and `batch night` here."""
        return ["--listed", self.nasdaq.directory_url, "--screener", self.nasdaq.screener_url]


@contextmanager
def exchange() -> Iterator[Exchange]:
    """Twelve stocks with a past, a dead one, an ETF and a test issue."""
    with NasdaqServer() as nasdaq, YahooServer() as yahoo:
        made = Exchange(nasdaq, yahoo)
        for number, symbol in enumerate(SYMBOLS):
            made.trade(symbol, SESSIONS)
            nasdaq.listings.append(Listing(symbol, 1e9 * (number + 1)))
        nasdaq.listings += [Listing(DEAD), Listing("FUND", etf=True), Listing("ZTEST", test=True)]
        yahoo.market.dead.add(DEAD)
        yield made


def collecting(name: str, redis: str, chart_url: str) -> PipelineConfig:
    """A pipeline `test/NAME` that collects the whole exchange, from Yahoo at this address."""
    return PipelineConfig.model_validate(
        {
            "namespace": "test",
            "name": name,
            "spec": {
                "universe": {
                    "exchange": "XNAS",
                    "collect": {"tiers": [{"name": "large", "minimumMarketCap": 5_000_000_000}]},
                },
                "sources": [{"name": "yahoo", "yahoo": {"chartUrl": chart_url, "requestsPerSecond": 100}}],
                "kafka": {"bootstrapServers": "127.0.0.1:9092"},
                "redis": {"url": redis},
                "batch": {"historyYears": 1, "minimumCoverage": 0.9},
            },
        }
    )
