"""The KIS source: symbols spread over application keys, live as far as registrations reach, by turns
beyond."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import structlog

from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.sessions import session_date
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.kis.credentials import AppKey
from stockpipeline.sources.kis.daily import read_daily
from stockpipeline.sources.kis.frames import TradeDecoder
from stockpipeline.sources.kis.grants import GrantStore
from stockpipeline.sources.kis.keys import Registration, registration
from stockpipeline.sources.kis.prices import Looks
from stockpipeline.sources.kis.rest import KisRest
from stockpipeline.sources.kis.rotation import Rotation
from stockpipeline.sources.kis.stream import ANSWER_SECONDS, SILENCE_SECONDS, KisStream
from stockpipeline.sources.live import Sink
from stockpipeline.sources.rate_limit import RateLimit
from stockpipeline.sources.rendezvous import spread
from stockpipeline.sources.sections import Sections
from stockpipeline.sources.session_kind import SessionKind

# Requests that leave at even intervals do not arrive at even intervals.
_SHARE_OF_LIMIT = 0.9
_log = structlog.get_logger()


@dataclass(frozen=True)
class KisTerms:
    """Where KIS is, and what it allows each application key."""

    rest_url: str
    websocket_url: str
    registrations: int
    requests_per_second: float
    daytime: bool = False
    silence_seconds: float = SILENCE_SECONDS
    """A websocket that says nothing for so long, not even a heartbeat, is connected anew."""
    answer_seconds: float = ANSWER_SECONDS
    """A registration that is not answered by then is sent again."""


class KisSource:
    """Trades of the symbols of one exchange.

    ``app_keys`` are the keys that this process alone uses for websockets, by fingerprint. The first symbols
    are the most wanted: they get the registrations.
    """

    def __init__(
        self,
        name: str,
        terms: KisTerms,
        app_keys: Mapping[str, AppKey],
        exchange: str,
        symbols: Sequence[str],
        stores: Callable[[AppKey], GrantStore],
        session_kind: SessionKind,
        metrics: SourceMetrics,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.name = name
        self._terms = terms
        self._app_keys = app_keys
        self._exchange = exchange
        self._limits: dict[str, RateLimit] = {}
        self._stores = stores
        self._session_kind = session_kind
        self._metrics = metrics
        self._now_ms = now_ms
        self._wanted = set(symbols)
        regular = {symbol: registration(symbol, exchange) for symbol in symbols}
        daytime = {s: registration(s, exchange, daytime=True) for s in symbols} if terms.daytime else {}
        per_symbol = 2 if terms.daytime else 1
        live = spread(symbols, dict.fromkeys(app_keys, terms.registrations // per_symbol))
        followed = {symbol for given in live.values() for symbol in given}
        rest = [symbol for symbol in symbols if symbol not in followed]
        polled = spread(rest, dict.fromkeys(app_keys, len(rest)))
        self._live = {
            key: [
                one for symbol in given for one in (regular[symbol], daytime.get(symbol)) if one is not None
            ]
            for key, given in live.items()
        }
        self._polled = {key: [regular[symbol] for symbol in given] for key, given in polled.items()}
        self._sections: Sections[str] = Sections(self._follow, app_keys)
        self._http: aiohttp.ClientSession | None = None
        self._sink: Sink | None = None

    def groups(self) -> list[set[str]]:
        """Return the symbols of each application key: it allows one session, and counts its requests."""
        return [{one.symbol for one in self._live[key] + self._polled[key]} for key in self._app_keys]

    async def serve(self, symbols: Collection[str]) -> None:
        """See `LiveSource.serve`."""
        keys = [key for key, group in zip(self._app_keys, self.groups(), strict=True) if group & set(symbols)]
        await self._sections.keep(keys)

    def want(self, symbols: Collection[str]) -> None:
        """Poll only these; registrations stay, because they cost nothing."""
        self._wanted = set(symbols)

    async def run(self, sink: Sink) -> None:
        """Bring trades until cancelled."""
        async with aiohttp.ClientSession() as http:
            self._http, self._sink = http, sink
            await self._sections.run()

    async def history(self, symbol: str, bars: int) -> BarSeries:
        """Return the newest daily bars of a symbol, adjusted, oldest first: as many as KIS has, up to so
        many.

        Raises:
            KisError: KIS has none, or does not answer.
            MalformedTick: an answer has no bars in it.
        """
        fingerprint, app_key = next(iter(self._app_keys.items()))
        what = registration(symbol, self._exchange)
        limit = self._limits.setdefault(fingerprint, self._limit())
        async with aiohttp.ClientSession() as http:
            rest = KisRest(
                self.name, self._terms.rest_url, app_key, self._stores(app_key), limit, http, self._metrics
            )
            found: dict[int, Bar] = {}
            last_day = ""
            while len(found) < bars:
                page = {bar.session: bar for bar in read_daily(await rest.daily(what, last_day), symbol)}
                if not page.keys() - found.keys():
                    break
                found |= page
                last_day = (session_date(min(page)) - timedelta(days=1)).strftime("%Y%m%d")
        return BarSeries.from_bars(found[session] for session in sorted(found))

    def _limit(self) -> RateLimit:
        return RateLimit(self._terms.requests_per_second * _SHARE_OF_LIMIT)

    async def _follow(self, fingerprint: str) -> None:
        """Bring the trades of one application key until cancelled."""
        http, sink, app_key = self._http, self._sink, self._app_keys[fingerprint]
        assert http is not None
        assert sink is not None
        live, polled = self._live[fingerprint], self._polled[fingerprint]
        _log.info(
            "an appkey of KIS", source=self.name, appkey=fingerprint, live=len(live), polled=len(polled)
        )
        limit = self._limits.setdefault(fingerprint, self._limit())
        store = self._stores(app_key)
        rest = KisRest(self.name, self._terms.rest_url, app_key, store, limit, http, self._metrics)
        looks = Looks(self.name, self._session_kind)
        refused: dict[str, Registration] = {}
        decoder = TradeDecoder(self.name, {one.key: one for one in live}, self._session_kind)
        stream = KisStream(
            self.name,
            self._terms.websocket_url,
            live,
            rest.grants,
            decoder,
            http,
            self._metrics,
            lambda one: refused.update({one.symbol: one}),
            self._terms.silence_seconds,
            self._terms.answer_seconds,
        )

        def due() -> list[Registration]:
            """What no registration follows now: also all, while the websocket is down."""
            if not self._session_kind.trading(self._now_ms()):
                return []
            by_turns = {one.symbol: one for one in polled} | refused
            if stream.connected:
                looks.forget(one.symbol for one in live if one.symbol not in refused)
            else:
                by_turns |= {one.symbol: one for one in live}
            return [one for one in by_turns.values() if one.symbol in self._wanted and not one.daytime]

        rotation = Rotation(self.name, rest, due, looks, self._now_ms)
        async with asyncio.TaskGroup() as tasks:
            if live:
                tasks.create_task(stream.run(sink))
            tasks.create_task(rotation.run(sink))
