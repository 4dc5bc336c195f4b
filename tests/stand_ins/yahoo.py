"""Yahoo: chart API, cookie and crumb, and the stream of prices, in one server."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as clock
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from yfinance.pricing_pb2 import PricingData

from tests.stand_ins.market import Market
from tests.stand_ins.server import StandIn, send

_EPOCH = date(1970, 1, 1)


@dataclass
class Faults:
    """What goes wrong; all off."""

    chart_status: int = 0
    """Answer charts with this status and no JSON: 429, 500, 401."""
    refused: int = 0
    """Answer so many charts with 429, and those after them."""
    stream_silent: bool = False
    half_messages: bool = False
    """Cut the bytes of each message of the stream."""
    skew_seconds: float = 0.0


@dataclass
class Past:
    """The days of a stock as Yahoo gives them, in terms of the newest share; None where nothing traded."""

    days: dict[int, tuple[float | None, ...]]
    """Days since 1970-01-01 → open, high, low, close, volume."""
    splits: dict[int, float] = field(default_factory=dict)
    dividends: dict[int, float] = field(default_factory=dict)


class YahooServer(StandIn):
    """A stand-in for Yahoo; its URLs are `chart_url` and `stream_url`."""

    def __init__(self, market: Market | None = None, port: int = 0, ticks_per_second: float = 0.0) -> None:
        super().__init__(port)
        self.market = market or Market()
        self.faults = Faults()
        self.asked: Counter[str] = Counter()
        """Requests by path's first part; charts also by symbol."""
        self.past: dict[str, Past] = {}
        self.makes_past_up = False
        """Whether a stock that has no past is given one."""
        self.connections = 0
        self.ticks_per_second = ticks_per_second
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._traded_at: dict[str, float] = {}

    @property
    def chart_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/?version=2"

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/", self._root)
        application.router.add_get("/v1/test/getcrumb", self._crumb)
        application.router.add_get("/v8/finance/chart/{symbol}", self._chart)
        application.router.add_get("/consent", self._consent)
        return application

    def trade(self, symbol: str, price: float | None = None, size: int | None = None) -> None:
        """Trade a stock, and tell who follows it."""
        self.call(lambda: self._trade(symbol, price, size))

    def send(self, text: str | bytes) -> None:
        """Send any text or bytes to all connections."""

        async def to_all() -> None:
            for socket in list(self._sockets):
                await send(socket, text)

        self.call(to_all)

    def disconnect(self, *, abort: bool = False) -> None:
        """End all connections, in order or by cutting them."""

        async def end() -> None:
            for socket in list(self._sockets):
                transport = socket._req.transport if socket._req else None
                if abort and transport is not None:
                    transport.abort()
                else:
                    await socket.close(code=WSCloseCode.GOING_AWAY)

        self.call(end)

    def followed(self) -> set[str]:
        """The symbols that somebody subscribed."""
        return set().union(*self._sockets.values())

    async def _root(self, request: web.Request) -> web.StreamResponse:
        # fc.yahoo.com (for a cookie) and the stream both are at the root of their hosts.
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request)
        self.asked["cookie"] += 1
        response = web.Response(status=404, text="")
        response.set_cookie("A3", "d=stand-in", max_age=86_400)
        return response

    async def _crumb(self, _request: web.Request) -> web.Response:
        self.asked["crumb"] += 1
        return web.Response(text="cRuMb")

    async def _consent(self, _request: web.Request) -> web.Response:
        self.asked["consent"] += 1
        return web.Response(text="<html><body>no consent needed here</body></html>", content_type="text/html")

    async def _chart(self, request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"]
        self.asked["chart"] += 1
        self.asked[symbol] += 1
        if self.faults.refused:
            self.faults.refused -= 1
            return web.Response(status=429, text="Too Many Requests")
        if self.faults.chart_status:
            return web.Response(status=self.faults.chart_status, text="Too Many Requests")
        stock = self.market.stock(symbol)
        if stock is None:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return web.json_response({"chart": {"result": None, "error": error}}, status=404)
        traded = int(self._traded_at.get(symbol, time.time()) + self.faults.skew_seconds)
        quote = {"open": [stock.open], "high": [stock.high], "low": [stock.low], "close": [stock.last]}
        meta = {
            "currency": "USD", "symbol": symbol, "exchangeName": "NMS", "instrumentType": "EQUITY",
            "regularMarketTime": traded, "gmtoffset": -18000, "timezone": "EST",
            "exchangeTimezoneName": "America/New_York", "regularMarketPrice": stock.last,
            "regularMarketVolume": stock.day_volume, "priceHint": 2, "dataGranularity": "1m", "range": "1d",
            "validRanges": ["1d", "5d", "1mo"],
        }  # fmt: skip
        if "period1" in request.query:
            bounds = int(request.query["period1"]), int(request.query["period2"])
            result = _past_chart(meta, self._past(symbol), *bounds)
            return web.json_response({"chart": {"result": [result], "error": None}})
        if request.query.get("interval") == "1d" and request.query.get("range") == "2y":
            return web.json_response({"chart": {"result": [self._days(symbol, meta)], "error": None}})
        result = {
            "meta": meta,
            "timestamp": [traded],
            "indicators": {
                "quote": [{**quote, "volume": [stock.day_volume]}],
                "adjclose": [{"adjclose": [stock.last]}],
            },
        }
        return web.json_response({"chart": {"result": [result], "error": None}})

    def _past(self, symbol: str) -> Past:
        if symbol not in self.past and self.makes_past_up:
            days = self.market.days(symbol, datetime.now(UTC).date(), 500)
            self.past[symbol] = Past({(day - _EPOCH).days: tuple(columns) for day, *columns in days})
        return self.past.get(symbol, Past({}))

    def _days(self, symbol: str, meta: dict[str, Any]) -> dict[str, Any]:
        days = self.market.days(symbol, datetime.now(UTC).date(), 500)[::-1]
        columns = list(zip(*days, strict=True))
        opens = [int(datetime.combine(day, clock(14, 30), UTC).timestamp()) for day in columns[0]]
        names = ("open", "high", "low", "close", "volume")
        quote = {name: list(column) for name, column in zip(names, columns[1:], strict=True)}
        indicators = {"quote": [quote], "adjclose": [{"adjclose": list(columns[4])}]}
        return {"meta": meta, "timestamp": opens, "indicators": indicators}

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self._sockets[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    wanted = json.loads(message.data)
                    self._sockets[socket].update(wanted.get("subscribe", ()))
                    self._sockets[socket].difference_update(wanted.get("unsubscribe", ()))
        finally:
            del self._sockets[socket]
        return socket

    async def _trade(self, symbol: str, price: float | None, size: int | None) -> None:
        stock = self.market.trade(symbol, price, size)
        self._traded_at[symbol] = time.time()
        if self.faults.stream_silent:
            return
        text = stream_message(
            symbol,
            stock.last,
            int((time.time() + self.faults.skew_seconds) * 1000),
            stock.day_volume,
            stock.last_size,
        )
        if self.faults.half_messages:
            text = text[: len(text) // 2]
        for socket, symbols in list(self._sockets.items()):
            if symbol in symbols:
                await send(socket, text)

    async def background(self) -> None:
        """Trades of all that is followed where the server is run for a demonstration."""
        while True:
            await asyncio.sleep(1 / self.ticks_per_second if self.ticks_per_second else 1.0)
            if self.ticks_per_second:
                for symbol in self.followed():
                    await self._trade(symbol, None, None)


def _past_chart(meta: dict[str, Any], past: Past, since: int, until: int) -> dict[str, Any]:
    """The chart of whole days whose sessions open between two times."""

    def opens(day: int) -> int:
        return day * 86_400 + 14 * 3600 + 1800

    days = [day for day in sorted(past.days) if since <= opens(day) < until]
    names = ("open", "high", "low", "close", "volume")
    quote = {name: [past.days[day][index] for day in days] for index, name in enumerate(names)}
    splits = {
        str(opens(day)): {"date": opens(day), "numerator": ratio, "denominator": 1.0}
        for day, ratio in past.splits.items()
        if since <= opens(day) < until
    }
    dividends = {
        str(opens(day)): {"date": opens(day), "amount": amount}
        for day, amount in past.dividends.items()
        if since <= opens(day) < until
    }
    result: dict[str, Any] = {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
    if days:
        result |= {"timestamp": [opens(day) for day in days], "indicators": {"quote": [quote]}}
    if splits or dividends:
        result["events"] = {"splits": splits, "dividends": dividends}
    return result


def stream_message(symbol: str, price: float, ts_ms: int, day_volume: int, size: int) -> str:
    """A message of the stream, as Yahoo sends it."""
    pricing = PricingData(
        id=symbol, price=price, time=ts_ms, currency="USD", exchange="NMS", quote_type=8, market_hours=1,
        day_volume=day_volume, last_size=size, bid=price - 0.01, ask=price + 0.01, price_hint=2,
    )  # fmt: skip
    return json.dumps({"type": "pricing", "message": base64.b64encode(pricing.SerializeToString()).decode()})
