"""KIS's REST interface: grants and prices, each request in its turn."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import aiohttp

from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.kis import daily
from stockpipeline.sources.kis.credentials import AppKey
from stockpipeline.sources.kis.grants import Grant, GrantKind, Grants, GrantStore, NotAsked
from stockpipeline.sources.kis.keys import Registration
from stockpipeline.sources.kis.meanings import KisError, Meaning, read_answer
from stockpipeline.sources.rate_limit import RateLimit

_TIMEOUT = aiohttp.ClientTimeout(total=10.0, connect=5.0)
_MAX_BYTES = 1 << 20
_DAY_SECONDS = 86_400.0
_OVERSEAS = ("/uapi/overseas-price/v1/quotations/price", "HHDFS00000300")
_DOMESTIC = ("/uapi/domestic-stock/v1/quotations/inquire-price", "FHKST01010100")
# Once for a token that expired, once for a rate that was too high.
_ATTEMPTS = 3


class KisRest:
    """The REST interface as one appkey uses it.

    Failures are KisError; what the network does to a request is one that means BROKEN.
    """

    def __init__(
        self,
        source: str,
        base_url: str,
        app_key: AppKey,
        store: GrantStore,
        limit: RateLimit,
        http: aiohttp.ClientSession,
        metrics: SourceMetrics,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._base_url = base_url.rstrip("/")
        self._app_key = app_key
        self._limit = limit
        self._http = http
        self._metrics = metrics
        self.grants = Grants(store, self._grant, sleep=sleep)

    async def price(self, what: Registration) -> tuple[dict[str, Any], float]:
        """Return KIS's answer about a symbol's price and the seconds that it took.

        Raises:
            KisError: there is no price.
        """
        if what.exchange:
            path, transaction = _OVERSEAS
            parameters = {"AUTH": "", "EXCD": what.exchange, "SYMB": what.code}
        else:
            path, transaction = _DOMESTIC
            parameters = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": what.code}
        return await self._ask(path, transaction, parameters)

    async def daily(self, what: Registration, last_day: str) -> dict[str, Any]:
        """Return KIS's answer about the adjusted daily bars up to a day (YYYYMMDD; empty: today).

        Raises:
            KisError: there are none.
        """
        parameters = {
            "AUTH": "", "EXCD": what.exchange, "SYMB": what.code, "GUBN": "0", "BYMD": last_day, "MODP": "1",
        }  # fmt: skip
        answer, _seconds = await self._ask(daily.PATH, daily.TRANSACTION, parameters)
        return answer

    async def _ask(
        self, path: str, transaction: str, parameters: dict[str, str]
    ) -> tuple[dict[str, Any], float]:
        """Ask in turn, again with another token or more slowly where KIS wants that."""
        for attempt in range(1, _ATTEMPTS + 1):
            token = await self._token()
            self._metrics.waited(self._source, await self._limit.turn())
            began = time.monotonic()
            try:
                return await self._get(path, transaction, parameters, token), time.monotonic() - began
            except KisError as error:
                if error.meaning is Meaning.TOKEN_EXPIRED:
                    self.grants.refuse(GrantKind.TOKEN, token)
                elif error.meaning is Meaning.RATE_EXCEEDED:
                    self._metrics.too_often(self._source)
                    self._limit.slow_down()
                else:
                    raise
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def _token(self) -> Grant:
        try:
            token = await self.grants.get(GrantKind.TOKEN)
        except NotAsked as error:
            raise KisError(Meaning.BROKEN, str(error)) from error
        self._metrics.token_age(self._source, time.time() - token.made_at)
        return token

    async def _get(
        self, path: str, transaction: str, parameters: dict[str, str], token: Grant
    ) -> dict[str, Any]:
        headers = {
            "authorization": f"Bearer {token.value}",
            "appkey": self._app_key.key,
            "appsecret": self._app_key.secret,
            "tr_id": transaction,
            "custtype": "P",
            "tr_cont": "",
        }
        try:
            async with self._http.get(
                self._base_url + path, params=parameters, headers=headers, timeout=_TIMEOUT
            ) as response:
                return read_answer(response.status, await response.content.read(_MAX_BYTES))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KisError(Meaning.BROKEN, f"{path}: {_network(error)}") from None

    async def _grant(self, kind: GrantKind) -> Grant:
        body = {"grant_type": "client_credentials", "appkey": self._app_key.key}
        if kind is GrantKind.TOKEN:
            path, field, body["appsecret"] = "/oauth2/tokenP", "access_token", self._app_key.secret
        else:
            # The same value under another name than above.
            path, field, body["secretkey"] = "/oauth2/Approval", "approval_key", self._app_key.secret
        try:
            async with self._http.post(self._base_url + path, json=body, timeout=_TIMEOUT) as response:
                answer = read_answer(response.status, await response.content.read(_MAX_BYTES))
        except aiohttp.ClientConnectorError as error:
            raise NotAsked(f"{path}: {_network(error)}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KisError(Meaning.BROKEN, f"{path}: {_network(error)}") from None
        value = answer.get(field)
        if not isinstance(value, str) or not value:
            raise KisError(Meaning.BROKEN, f"{path}: the answer has no {field}")
        now = time.time()
        return Grant(value, now, now + _lifetime(answer, now))


def _lifetime(answer: dict[str, Any], now: float) -> float:
    """Return the seconds that a grant is valid.

    The same token given again has the rest of its day: then the time of expiry, which is Korean, says so and
    the duration does not.
    """
    seconds = [_DAY_SECONDS]
    with suppress(KeyError, TypeError, ValueError):
        seconds.append(float(answer["expires_in"]))
    with suppress(KeyError, TypeError, ValueError):
        end = datetime.strptime(f"{answer['access_token_token_expired']} +0900", "%Y-%m-%d %H:%M:%S %z")
        seconds.append(end.timestamp() - now)
    return min(seconds)


def _network(error: Exception) -> str:
    """Say what the network did; without the request, which has secrets in it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}"
    return type(error).__name__
