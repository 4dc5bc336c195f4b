"""KIS: REST and websocket, in one server.

Limits are those of the real one (one token a minute, 41 registrations, one session per appkey, requests a
second), and each can be set. `Faults` make it misbehave; a scenario (see `__main__`) turns them on and off in
time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from aiohttp import WSCloseCode, WSMsgType, web

from tests.stand_ins.market import Market, Stock
from tests.stand_ins.server import StandIn, send

KOREA = timezone(timedelta(hours=9))
NEW_YORK = ZoneInfo("America/New_York")
REST_CODES = {"NAS": "D", "NYS": "D", "AMS": "D", "BAQ": "R", "BAY": "R", "BAA": "R"}


@dataclass
class Limits:
    """What the server allows."""

    requests_per_second: float = 20
    registrations: int = 41
    seconds_between_tokens: float = 60.0
    token_seconds: int = 86_400


@dataclass
class Faults:
    """What goes wrong; all off."""

    rest_status: int = 0
    """Answer REST with this status and no JSON: 429, 500, 502."""
    rest_code: str = ""
    """Answer REST with this code: EGW00201, EGW00123 …"""
    rest_code_status: int = 200
    rest_silent: bool = False
    """Take requests and never answer."""
    ws_refuse: str = ""
    """Answer registrations with this code: OPSP0007, OPSP8996 …"""
    ws_silent: bool = False
    """Say nothing at all on the websocket, also no heartbeat."""
    half_frames: bool = False
    """Cut each frame of trades somewhere."""
    skew_seconds: float = 0.0
    """How far the exchange's clock is ahead."""


@dataclass
class Session:
    """One websocket session."""

    socket: web.WebSocketResponse
    appkey: str = ""
    registered: dict[str, str] = field(default_factory=dict)
    """tr_key → symbol."""
    pongs: int = 0
    echoes: int = 0


class KisServer(StandIn):
    """A stand-in for KIS; its URLs are `rest_url` and `websocket_url`."""

    def __init__(
        self,
        market: Market | None = None,
        limits: Limits | None = None,
        faults: Faults | None = None,
        port: int = 0,
        ticks_per_second: float = 0.0,
        heartbeat_seconds: float = 10.0,
    ) -> None:
        super().__init__(port)
        self.market = market or Market()
        self.limits = limits or Limits()
        self.faults = faults or Faults()
        self.secrets = {"test-appkey": "test-appsecret"}
        """Which appkeys exist, with their secrets; a test may add some."""
        self.asked: Counter[str] = Counter()
        """Requests by path."""
        self.refused: Counter[str] = Counter()
        """Answers by error code."""
        self.sessions: list[Session] = []
        self.connections = 0
        self.ticks_per_second = ticks_per_second
        self._heartbeat_seconds = heartbeat_seconds
        self._tokens: dict[str, tuple[str, float, float]] = {}
        self._token_asked: dict[str, float] = {}
        self._approvals: dict[str, str] = {}
        self._requests: dict[str, deque[float]] = {}
        self._made = 0

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/tryitout"

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/oauth2/tokenP", self._token)
        application.router.add_post("/oauth2/Approval", self._approval)
        application.router.add_get("/uapi/overseas-price/v1/quotations/price", self._price)
        application.router.add_get("/uapi/overseas-price/v1/quotations/dailyprice", self._daily)
        application.router.add_get("/tryitout", self._websocket)
        return application

    # What a test does to it; from the test's thread.

    def expire_tokens(self) -> None:
        """Take no token any more that was given so far."""
        self._tokens.clear()

    def trade(self, symbol: str, count: int = 1, price: float | None = None, size: int | None = None) -> None:
        """Trade a stock, and tell all sessions that follow it, in one frame."""
        self.call(lambda: self._trade(symbol, count, price, size))

    def send(self, text: str | bytes) -> None:
        """Send any text or bytes to all sessions."""

        async def to_all() -> None:
            for session in list(self.sessions):
                await send(session.socket, text)

        self.call(to_all)

    def disconnect(self, *, abort: bool = False) -> None:
        """End all sessions, in order or by cutting the connection."""

        async def end() -> None:
            for session in list(self.sessions):
                if abort:
                    transport = session.socket._req.transport if session.socket._req else None
                    if transport is not None:
                        transport.abort()
                else:
                    await session.socket.close(code=WSCloseCode.GOING_AWAY)

        self.call(end)

    def registered(self) -> set[str]:
        """The symbols that somebody follows."""
        return {symbol for session in self.sessions for symbol in session.registered.values()}

    # REST

    async def _token(self, request: web.Request) -> web.Response:
        self.asked["token"] += 1
        body = await request.json()
        appkey = str(body.get("appkey"))
        if self.secrets.get(appkey) != body.get("appsecret"):
            return self._oauth_error(403, "EGW00105", "유효하지 않은 AppSecret입니다.")
        now = time.time()
        if now - self._token_asked.get(appkey, 0.0) < self.limits.seconds_between_tokens:
            return self._oauth_error(403, "EGW00133", "접근토큰 발급 잠시 후 다시 시도하세요(1분당 1회)")
        self._token_asked[appkey] = now
        known = self._tokens.get(appkey)
        if known is None or now - known[1] > 6 * 3600:
            self._made += 1
            known = self._tokens[appkey] = (f"token-{self._made}", now, now + self.limits.token_seconds)
        expires = datetime.fromtimestamp(known[2], KOREA).strftime("%Y-%m-%d %H:%M:%S")
        return web.json_response(
            {
                "access_token": known[0],
                "access_token_token_expired": expires,
                "token_type": "Bearer",
                "expires_in": self.limits.token_seconds,
            }
        )

    async def _approval(self, request: web.Request) -> web.Response:
        self.asked["approval"] += 1
        body = await request.json()
        appkey = str(body.get("appkey"))
        if self.secrets.get(appkey) != body.get("secretkey"):
            return self._oauth_error(403, "EGW00105", "유효하지 않은 AppSecret입니다.")
        self._made += 1
        key = f"approval-{self._made}"
        self._approvals[key] = appkey
        return web.json_response({"approval_key": key})

    async def _price(self, request: web.Request) -> web.Response:
        self.asked["price"] += 1
        faults = self.faults
        if faults.rest_silent:
            await asyncio.sleep(3600)
        if faults.rest_status:
            return web.Response(status=faults.rest_status, text="<html>busy</html>")
        if faults.rest_code:
            return self._error(faults.rest_code_status, faults.rest_code, "오류")
        if (refusal := self._refusal(request, "HHDFS00000300")) is not None:
            return refusal
        exchange, symbol = request.query.get("EXCD", ""), request.query.get("SYMB", "")
        stock = self.market.stock(symbol)
        if exchange not in REST_CODES or stock is None:
            return self._error(200, "OPSQ2001", "종목코드 오류")
        return web.json_response(
            {
                "rt_cd": "0",
                "msg_cd": "MCA00000",
                "msg1": "정상처리 되었습니다.",
                "output": {
                    "rsym": f"{REST_CODES[exchange]}{exchange}{symbol}", "zdiv": "4",
                    "base": f"{stock.open:.4f}", "pvol": "1000000", "last": f"{stock.last:.4f}", "sign": "2",
                    "diff": "0.1000", "rate": " +0.10", "tvol": str(stock.day_volume),
                    "tamt": str(int(stock.day_volume * stock.last)), "ordy": "매도불가",
                },
            },
            headers={"tr_cont": ""},
        )  # fmt: skip

    async def _daily(self, request: web.Request) -> web.Response:
        self.asked["dailyprice"] += 1
        if (refusal := self._refusal(request, "HHDFS76240000")) is not None:
            return refusal
        symbol, last = request.query["SYMB"], request.query["BYMD"]
        if self.market.stock(symbol) is None:
            return self._error(200, "OPSQ2001", "종목코드 오류")
        day = date.fromisoformat(last) if last else datetime.now(NEW_YORK).date()
        rows = [
            {
                "xymd": when.strftime("%Y%m%d"), "clos": f"{close:.4f}", "sign": "2", "diff": "0.1",
                "rate": "+0.1", "open": f"{opened:.4f}", "high": f"{high:.4f}", "low": f"{low:.4f}",
                "tvol": str(volume), "tamt": "1", "pbid": "1.0", "vbid": "1", "pask": "1.0", "vask": "1",
            }
            for when, opened, high, low, close, volume in self.market.days(symbol, day, 100)
        ]  # fmt: skip
        output1 = {"rsym": f"D{request.query['EXCD']}{symbol}", "zdiv": "4", "nrec": str(len(rows))}
        return web.json_response({"rt_cd": "0", "msg_cd": "MCA00000", "output1": output1, "output2": rows})

    def _refusal(self, request: web.Request, transaction: str) -> web.Response | None:
        """Why a request for data is not answered, if it is not."""
        appkey = request.headers.get("appkey", "")
        token = self._tokens.get(appkey)
        if self.secrets.get(appkey) != request.headers.get("appsecret"):
            return self._error(403, "EGW00105", "유효하지 않은 AppSecret입니다.")
        if (
            token is None
            or request.headers.get("authorization") != f"Bearer {token[0]}"
            or token[2] < time.time()
        ):
            return self._error(500, "EGW00123", "기간이 만료된 token 입니다.")
        if request.headers.get("tr_id") != transaction or request.headers.get("custtype") != "P":
            return self._error(200, "EGW00205", "tr_id 오류")
        recent = self._requests.setdefault(appkey, deque())
        now = time.monotonic()
        while recent and recent[0] <= now - 1.0:
            recent.popleft()
        if len(recent) >= self.limits.requests_per_second:
            return self._error(
                500 if self.refused["EGW00201"] % 2 else 200, "EGW00201", "초당 거래건수를 초과하였습니다."
            )
        recent.append(now)
        return None

    def _error(self, status: int, code: str, text: str) -> web.Response:
        self.refused[code] += 1
        return web.json_response({"rt_cd": "1", "msg_cd": code, "msg1": text}, status=status)

    def _oauth_error(self, status: int, code: str, text: str) -> web.Response:
        self.refused[code] += 1
        return web.json_response({"error_code": code, "error_description": text}, status=status)

    # Websocket

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.connections += 1
        session = Session(socket)
        self.sessions.append(session)
        try:
            async for message in socket:
                if message.type is WSMsgType.PONG:
                    session.pongs += 1
                elif message.type is WSMsgType.TEXT:
                    await self._take(session, message.data)
        finally:
            self.sessions.remove(session)
        return socket

    async def _take(self, session: Session, text: str) -> None:
        message = json.loads(text)
        if message["header"].get("tr_id") == "PINGPONG":
            session.echoes += 1
            return
        if self.faults.ws_silent:
            return
        header, wanted = message["header"], message["body"]["input"]
        code, said = self._registration(session, header, wanted)
        if code != "OPSP0000":
            self.refused[code] += 1
        answer = {
            "header": {"tr_id": wanted["tr_id"], "tr_key": wanted["tr_key"], "encrypt": "N"},
            "body": {
                "rt_cd": "0" if code in ("OPSP0000", "OPSP0001") else "1",
                "msg_cd": code,
                "msg1": said,
                "output": {"iv": "0123456789abcdef", "key": "abcdefghijklmnopabcdefghijklmnop"},
            },
        }
        await send(session.socket, json.dumps(answer))

    def _registration(
        self, session: Session, header: dict[str, str], wanted: dict[str, str]
    ) -> tuple[str, str]:
        if self.faults.ws_refuse:
            return self.faults.ws_refuse, "ERROR"
        appkey = self._approvals.get(header["approval_key"])
        if appkey is None:
            return "OPSP0011", "invalid approval : NOT FOUND"
        if any(other.appkey == appkey for other in self.sessions if other is not session):
            return "OPSP8996", "ALREADY IN USE appkey"
        session.appkey = appkey
        key = wanted["tr_key"]
        if header["tr_type"] == "2":
            found = session.registered.pop(key, None)
            return (
                ("OPSP0001", "UNSUBSCRIBE SUCCESS")
                if found
                else ("OPSP0003", "UNSUBSCRIBE ERROR(not found!)")
            )
        if key in session.registered:
            return "OPSP0002", "ALREADY IN SUBSCRIBE"
        if len(session.registered) >= self.limits.registrations:
            return "OPSP0008", "MAX SUBSCRIBE OVER"
        session.registered[key] = key[4:]
        return "OPSP0000", "SUBSCRIBE SUCCESS"

    async def _trade(self, symbol: str, count: int, price: float | None, size: int | None) -> None:
        stocks = [self._record(self.market.trade(symbol, price, size)) for _ in range(count)]
        if self.faults.ws_silent:
            return
        for session in list(self.sessions):
            for key, followed in session.registered.items():
                if followed != symbol:
                    continue
                body = "^".join(record.replace("@KEY@", key) for record in stocks)
                frame = f"0|HDFSCNT0|{count:03d}|{body}"
                if self.faults.half_frames:
                    frame = frame[: len(frame) * 2 // 3]
                await send(session.socket, frame)

    def _record(self, stock: Stock) -> str:
        now = datetime.now(UTC) + timedelta(seconds=self.faults.skew_seconds)
        return trade_record("@KEY@", stock, now)

    async def background(self) -> None:
        """Heartbeats, and trades of all that is followed where the server is run for a demonstration."""
        beat = time.monotonic()
        while True:
            await asyncio.sleep(1 / self.ticks_per_second if self.ticks_per_second else 0.05)
            if self.ticks_per_second:
                for symbol in self.registered() or set(self.market.stocks):
                    await self._trade(symbol, 1, None, None)
            if time.monotonic() - beat >= self._heartbeat_seconds and not self.faults.ws_silent:
                beat = time.monotonic()
                stamp = datetime.now(KOREA).strftime("%Y%m%d%H%M%S")
                for session in list(self.sessions):
                    await send(
                        session.socket, json.dumps({"header": {"tr_id": "PINGPONG", "datetime": stamp}})
                    )


def trade_record(key: str, stock: Stock, at: datetime) -> str:
    """The 26 fields of HDFSCNT0 for a stock's last trade."""
    local, korea = at.astimezone(NEW_YORK), at.astimezone(KOREA)
    day = local.strftime("%Y%m%d")
    fields = [
        key, stock.symbol, "4", day, day, local.strftime("%H%M%S"), korea.strftime("%Y%m%d"),
        korea.strftime("%H%M%S"), f"{stock.open:.4f}", f"{stock.high:.4f}", f"{stock.low:.4f}",
        f"{stock.last:.4f}", "3", "0.0000", "0.00", f"{stock.last - 0.01:.4f}", f"{stock.last + 0.01:.4f}",
        "200", "20", str(stock.last_size), str(stock.day_volume), str(int(stock.day_volume * stock.last)),
        "2222", "680", "30.60", "1",
    ]  # fmt: skip
    return "^".join(fields)
