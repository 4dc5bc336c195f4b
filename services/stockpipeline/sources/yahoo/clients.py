"""yfinance's clients, as far as live data needs them. They block or spin in ways that only their own code
shows, so everything that touches them is here.

- `AsyncWebSocket.listen` does not come back after a connection ends (it reconnects to the dead one, or goes
  round without ever awaiting), so its messages are read here, one connection at a time.
- `YfData` keeps cookie and crumb, and answers from a cache that also has failures; `get` goes past the cache.
"""

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yfinance
from curl_cffi import requests as curl
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError
from yfinance.pricing_pb2 import PricingData

CHART_URL = "https://query2.finance.yahoo.com"
STREAM_URL = "wss://streamer.finance.yahoo.com/?version=2"
_TIMEOUT_SECONDS = 10.0


class TooOften(Exception):
    """Yahoo answered 429."""


class Unanswered(Exception):
    """No usable answer; the message says why."""


class UnreadableMessage(ValueError):
    """A message of the stream that is not what yfinance knows."""


async def stream(url: str, symbols: Sequence[str]) -> AsyncGenerator[str | bytes, None]:
    """Connect, subscribe and yield messages until the connection ends (which ends it, or raises)."""
    client = yfinance.AsyncWebSocket(url=url, verbose=False)
    try:
        await client.subscribe(list(symbols))
        async for message in client._ws:
            yield message
    finally:
        await client.close()


def read_message(message: str | bytes) -> dict[str, Any]:
    """Return the fields of the `PricingData` in a message, as yfinance names them.

    Raises:
        UnreadableMessage: there is none in it.
    """
    try:
        encoded = json.loads(message)["message"]
        pricing = PricingData()
        pricing.ParseFromString(base64.b64decode(encoded, validate=True))
    except (ValueError, RecursionError, KeyError, TypeError, binascii.Error, DecodeError) as error:
        raise UnreadableMessage(f"no PricingData: {type(error).__name__}") from None
    fields: dict[str, Any] = MessageToDict(pricing, preserving_proto_field_name=True)
    return fields


class Charts:
    """Asks the chart API; one request at a time, from any thread."""

    def __init__(self, base_url: str | None, cache: Path) -> None:
        yfinance.set_tz_cache_location(str(cache))
        session = curl.Session(impersonate="chrome") if base_url is None else _Elsewhere(base_url)
        self._client = YfData(session=session)

    def get(self, name: str) -> Any:
        """Return the JSON of the newest chart of Yahoo's symbol; blocks.

        Raises:
            TooOften: Yahoo says so.
            Unanswered: anything else than an answer about the symbol.
        """
        return self._ask(name, {"range": "1d", "interval": "1m", "includePrePost": True})

    def newest_days(self, name: str) -> Any:
        """Return the JSON of the daily chart of Yahoo's symbol over two years up to now; blocks.

        Raises as `get`.
        """
        return self._ask(name, {"range": "2y", "interval": "1d", "includePrePost": False})

    def days(self, name: str, since_seconds: int, until_seconds: int) -> Any:
        """Return the JSON of the daily chart of Yahoo's symbol with splits and dividends; blocks.

        Times are epoch seconds. Raises as `get`.
        """
        parameters = {"period1": since_seconds, "period2": until_seconds, "interval": "1d"}
        return self._ask(name, {**parameters, "includePrePost": False, "events": "div,splits"})

    def _ask(self, name: str, parameters: dict[str, Any]) -> Any:
        url = f"{CHART_URL}/v8/finance/chart/{name}"
        try:
            response = self._client.get(url, parameters, timeout=_TIMEOUT_SECONDS)
        except YFRateLimitError:
            raise TooOften(f"{name}: HTTP 429") from None
        except Exception as error:  # yfinance lets those of three libraries through
            raise Unanswered(f"{name}: {type(error).__name__}") from None
        if response.status_code == 429:
            raise TooOften(f"{name}: HTTP 429")
        # 404 comes with an answer about the symbol: there is none.
        if response.status_code >= 400 and response.status_code != 404:
            raise Unanswered(f"{name}: HTTP {response.status_code}")
        try:
            return response.json()
        except ValueError:
            raise Unanswered(f"{name}: HTTP {response.status_code} without JSON") from None


class _Elsewhere(curl.Session):  # type: ignore[type-arg]
    """Sends what is meant for Yahoo's hosts to another base URL."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base = urlsplit(base_url)

    def request(self, method: Any, url: str, *arguments: Any, **options: Any) -> Any:
        """Make the request there, with the same path below the base URL's."""
        there = urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc)
        there = there._replace(path=self._base.path.rstrip("/") + there.path)
        return super().request(method, urlunsplit(there), *arguments, **options)
