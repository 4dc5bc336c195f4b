"""A source that is cancelled ends, at whatever point of a connection's life that comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.kis.credentials import AppKey
from stockpipeline.sources.kis.frames import TradeDecoder
from stockpipeline.sources.kis.grants import LocalGrants
from stockpipeline.sources.kis.keys import registration
from stockpipeline.sources.kis.rest import KisRest
from stockpipeline.sources.kis.stream import KisStream
from stockpipeline.sources.rate_limit import RateLimit
from stockpipeline.sources.session_kind import SessionKind
from stockpipeline.sources.yahoo.stream import YahooStream
from tests.integration.sources.cancelling import Moment, cancel_at
from tests.integration.sources.sink import KeepingSink
from tests.stand_ins.kis import KisServer
from tests.stand_ins.yahoo import YahooServer

KEY = AppKey("test-appkey", "test-appsecret")
KIND = SessionKind(SessionCalendar("XNAS"))
# A connection takes about ten steps until the first trade; then each message is one or two.
STEPS = range(1, 31)


class EagerGrants(LocalGrants):
    """A store whose minute is short."""

    async def take_turn(self, kind: object) -> bool:
        return True


async def shortly(_seconds: float) -> None:
    await asyncio.sleep(0.001)


@pytest.fixture
def kis() -> Iterator[KisServer]:
    with KisServer(ticks_per_second=1000, heartbeat_seconds=0.01) as server:
        server.limits.seconds_between_tokens = 0.0
        yield server


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer(ticks_per_second=1000) as server:
        yield server


async def stream_kis(server: KisServer) -> None:
    metrics = SourceMetrics(CollectorRegistry(), "test")
    apple = registration("AAPL", "XNAS")
    async with aiohttp.ClientSession() as http:
        rest = KisRest("kis", server.rest_url, KEY, EagerGrants(), RateLimit(1000.0), http, metrics)
        await KisStream(
            "kis",
            server.websocket_url,
            [apple],
            rest.grants,
            TradeDecoder("kis", {apple.key: apple}, KIND),
            http,
            metrics,
            left_over=lambda _one: None,
            sleep=shortly,
        ).run(KeepingSink())


async def stream_yahoo(server: YahooServer) -> None:
    metrics = SourceMetrics(CollectorRegistry(), "test")
    await YahooStream(
        "yahoo", server.stream_url, ["AAPL"], lambda _message, _sink: True, KIND, metrics, 30.0, sleep=shortly
    ).run(KeepingSink())


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("refusal", ["", "OPSP0011", "OPSP8996"])
def test_kis_ends_at_every_step(kis: KisServer, refusal: str, moment: Moment) -> None:
    kis.faults.ws_refuse = refusal
    for step in STEPS:
        assert cancel_at(lambda: stream_kis(kis), step, moment), f"went on after step {step}"


@pytest.mark.parametrize("moment", Moment)
def test_yahoo_ends_at_every_step(yahoo: YahooServer, moment: Moment) -> None:
    for step in STEPS:
        assert cancel_at(lambda: stream_yahoo(yahoo), step, moment), f"went on after step {step}"


@pytest.mark.parametrize("moment", Moment)
def test_yahoo_that_closes_at_once_ends_at_every_step(yahoo: YahooServer, moment: Moment) -> None:
    yahoo.ticks_per_second = 0.0

    async def stream_and_lose() -> None:
        losing = asyncio.create_task(lose())
        try:
            await stream_yahoo(yahoo)
        finally:
            losing.cancel()

    async def lose() -> None:
        while True:
            await asyncio.to_thread(yahoo.disconnect)
            await asyncio.sleep(0.005)

    for step in STEPS:
        assert cancel_at(stream_and_lose, step, moment), f"went on after step {step}"
