"""NASDAQ: the directory of listed symbols and the screener, in one server."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from tests.stand_ins.server import StandIn

_HEADER = "Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares"


@dataclass
class Listing:
    """A listed security."""

    symbol: str
    market_cap: float | None = None
    """US dollars; None where the screener does not know it."""
    etf: bool = False
    test: bool = False


A_FEW = (
    *(Listing(symbol, cap * 1e9) for symbol, cap in (("NVDA", 4200), ("MSFT", 3700), ("AAPL", 3400))),
    *(Listing(symbol, cap * 1e9) for symbol, cap in (("GOOGL", 2400), ("AMZN", 2300), ("AMD", 270))),
    *(Listing(symbol, cap * 1e9) for symbol, cap in (("INTC", 100), ("ZM", 24), ("ROKU", 12))),
    Listing("QQQ", etf=True),
    Listing("ZVZZT", test=True),
)
"""What a stand-in that is run by hand lists: nine stocks, an ETF and a test issue."""


@dataclass
class Faults:
    """What goes wrong; all off."""

    status: int = 0
    """Answer with this status and no list: 403, 503."""
    cut: bool = False
    """End the directory in the middle of a line."""


class NasdaqServer(StandIn):
    """A stand-in for NASDAQ's lists; their URLs are `directory_url` and `screener_url`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.listings: list[Listing] = []
        self.faults = Faults()

    @property
    def directory_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dynamic/symdir/nasdaqlisted.txt"

    @property
    def screener_url(self) -> str:
        return (
            f"http://127.0.0.1:{self.port}/api/screener/stocks?tableonly=true&exchange=NASDAQ&download=true"
        )

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/dynamic/symdir/nasdaqlisted.txt", self._directory)
        application.router.add_get("/api/screener/stocks", self._screener)
        return application

    async def _directory(self, _request: web.Request) -> web.Response:
        if self.faults.status:
            return web.Response(status=self.faults.status)
        rows = [
            f"{one.symbol}|{one.symbol} Inc. - Common Stock|Q|{'NY'[one.test]}|N|100|{'NY'[one.etf]}|N"
            for one in self.listings
        ]
        text = "\n".join([_HEADER, *rows, "File Creation Time: 1120202621:33|||||||", ""])
        return web.Response(text=text[: len(text) // 2] if self.faults.cut else text)

    async def _screener(self, request: web.Request) -> web.Response:
        # The real one closes the connection of a client that does not look like a browser.
        if self.faults.status or "Mozilla" not in request.headers.get("User-Agent", ""):
            return web.Response(status=self.faults.status or 403)
        rows = [
            {
                "symbol": one.symbol,
                "name": f"{one.symbol} Inc. Common Stock",
                "lastsale": "$10.00",
                "netchange": "0.01",
                "pctchange": "0.1%",
                "volume": "1000",
                "marketCap": "" if one.market_cap is None else f"{one.market_cap:.2f}",
                "country": "United States",
                "ipoyear": "",
                "industry": "",
                "sector": "Technology",
                "url": f"/market-activity/stocks/{one.symbol.lower()}",
            }
            for one in self.listings
            if not one.etf and not one.test
        ]
        return web.json_response({"data": {"asOf": None, "headers": {}, "rows": rows}, "message": None})
