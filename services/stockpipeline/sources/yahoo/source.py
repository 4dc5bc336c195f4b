"""The Yahoo source: one stream for all symbols, and polls for those that are needed and that it does not
bring."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from stockpipeline.market.bars import BarSeries
from stockpipeline.market.ticks import MalformedReason, MalformedTick
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.backoff import Backoff
from stockpipeline.sources.live import Sink
from stockpipeline.sources.rate_limit import RateLimit
from stockpipeline.sources.sections import Sections
from stockpipeline.sources.session_kind import SessionKind
from stockpipeline.sources.yahoo import clients
from stockpipeline.sources.yahoo.quotes import (
    LastQuotes,
    NoData,
    read_chart,
    read_daily,
    read_pricing,
    yahoo_symbol,
)
from stockpipeline.sources.yahoo.stream import YahooStream

_TOO_OFTEN_WAIT, _LONGEST_TOO_OFTEN = 15.0, 900.0
# Dead symbols are costly: Yahoo's client tries each several ways before it gives up.
_DEAD_SECONDS = 6 * 3600.0
_IDLE_SECONDS = 0.2
_log = structlog.get_logger()


@dataclass(frozen=True)
class YahooTerms:
    """Where Yahoo is, and how often to ask. URLs that are None are Yahoo's own."""

    stream_url: str | None
    chart_url: str | None
    poll_seconds: float
    requests_per_second: float
    cache: Path
    """A folder of one's own for cookies."""
    silence_seconds: float = 60.0
    """A stream that brings nothing for so long, while there may be trades, is connected anew."""


class YahooSource:
    """Quotes of symbols."""

    def __init__(
        self,
        name: str,
        terms: YahooTerms,
        symbols: Sequence[str],
        session_kind: SessionKind,
        metrics: SourceMetrics,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.name = name
        self._terms = terms
        self._symbols = {yahoo_symbol(symbol): symbol for symbol in symbols}
        self._session_kind = session_kind
        self._metrics = metrics
        self._now_ms = now_ms
        self._wanted: set[str] = set()
        self._heard: dict[str, float] = {}
        self._dead_until: dict[str, float] = {}
        self._limit = RateLimit(terms.requests_per_second)
        self._charts: clients.Charts | None = None
        self._last = LastQuotes(name, session_kind)
        self._all = dict(self._symbols)
        self._sink: Sink | None = None
        self._streams: Sections[tuple[str, ...]] = Sections(self._stream, [tuple(self._symbols)])

    def want(self, symbols: Collection[str]) -> None:
        """Poll only these; the stream brings all, because it costs nothing."""
        self._wanted = set(symbols)

    async def run(self, sink: Sink) -> None:
        """Bring quotes until cancelled."""
        self._sink = sink
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._streams.run())
            tasks.create_task(self._poll(sink))

    def groups(self) -> tuple[()]:
        """Return nothing: any symbol can be served alone."""
        return ()

    async def serve(self, symbols: Collection[str]) -> None:
        """See `LiveSource.serve`. Requests are counted for all producers together: each has its share."""
        self._symbols = {name: symbol for name, symbol in self._all.items() if symbol in symbols}
        self._wanted &= set(symbols)
        share = len(self._symbols) / max(1, len(self._all))
        self._limit.allow(self._terms.requests_per_second * share)
        await self._streams.keep([tuple(self._symbols)] if self._symbols else [])

    async def _stream(self, names: tuple[str, ...]) -> None:
        """Stream some symbols until cancelled."""
        assert self._sink is not None
        stream = YahooStream(
            self.name,
            self._terms.stream_url,
            names,
            self._take,
            self._session_kind,
            self._metrics,
            self._terms.silence_seconds,
            self._now_ms,
        )
        await stream.run(self._sink)

    async def history(self, symbol: str, bars: int) -> BarSeries:
        """Return the newest daily bars of a symbol, adjusted, oldest first: as many as Yahoo has, up to so
        many.

        Raises:
            NoData: Yahoo has none.
            TooOften, Unanswered: Yahoo does not answer.
            MalformedTick: the answer has no bars in it.
        """
        if self._charts is None:
            self._charts = clients.Charts(self._terms.chart_url, self._terms.cache)
        await self._limit.turn()
        name = yahoo_symbol(symbol)
        answer = await asyncio.to_thread(self._charts.newest_days, name)
        return BarSeries.from_bars(read_daily(answer, name)[-bars:])

    def _take(self, message: str | bytes, sink: Sink) -> bool:
        """Take a message of the stream; return whether it was a quote of ours."""
        data = message if isinstance(message, bytes) else message.encode("utf-8", "replace")
        try:
            name, quote = read_pricing(clients.read_message(message))
        except clients.UnreadableMessage as error:
            sink.malformed(self.name, MalformedReason.BAD_JSON, str(error), data)
            return False
        except MalformedTick as malformed:
            sink.malformed(self.name, malformed.reason, str(malformed), data)
            return False
        symbol = self._symbols.get(name)
        if symbol is None:
            sink.malformed(self.name, MalformedReason.BAD_SYMBOL, f"{name[:32]} was not asked for", data)
            return False
        self._heard[symbol] = time.monotonic()
        tick = self._last.tick(symbol, quote)
        if tick is None:
            sink.confirmed(self.name, symbol)
        else:
            sink.tick(tick)
        return True

    async def _poll(self, sink: Sink) -> None:
        too_often = Backoff(_TOO_OFTEN_WAIT, _LONGEST_TOO_OFTEN, random.Random())  # noqa: S311 - spreads load
        asked = dict.fromkeys(self._all.values(), 0.0)
        # A thread of its own: yfinance's client is shared state, and one at a time is enough for its limit.
        thread = ThreadPoolExecutor(1, thread_name_prefix="yahoo-charts")
        loop = asyncio.get_running_loop()
        try:
            charts = await loop.run_in_executor(
                thread, clients.Charts, self._terms.chart_url, self._terms.cache
            )
            while True:
                symbol = next(self._due(asked), None)
                if symbol is None or not sink.may_ask(self.name):
                    await asyncio.sleep(_IDLE_SECONDS)
                    continue
                self._metrics.waited(self.name, await self._limit.turn())
                asked[symbol] = began = time.monotonic()
                name = yahoo_symbol(symbol)
                try:
                    answer = await loop.run_in_executor(thread, charts.get, name)
                except clients.TooOften:
                    self._metrics.too_often(self.name)
                    sink.answered(self.name, None)
                    self._limit.slow_down()
                    await asyncio.sleep(too_often.next_seconds())
                    continue
                except clients.Unanswered as error:
                    sink.answered(self.name, None)
                    _log.warning("a poll was not answered", source=self.name, why=str(error))
                    continue
                too_often.reset()
                sink.answered(self.name, time.monotonic() - began)
                self._answered(symbol, answer, sink)
        finally:
            # Without waiting for a request on its way: that would hold up the event loop, and the flush at
            # the end.
            thread.shutdown(wait=False, cancel_futures=True)

    def _answered(self, symbol: str, answer: object, sink: Sink) -> None:
        try:
            quote = read_chart(answer, yahoo_symbol(symbol))
        except NoData as error:
            self._dead_until[symbol] = time.monotonic() + _DEAD_SECONDS
            sink.failed(self.name, symbol, str(error))
            _log.warning(
                "a symbol is not polled for some hours", source=self.name, symbol=symbol, why=str(error)
            )
            return
        except MalformedTick as malformed:
            sink.malformed(self.name, malformed.reason, str(malformed), repr(answer)[:4096].encode())
            sink.failed(self.name, symbol, str(malformed))
            return
        tick = self._last.tick(symbol, quote)
        if tick is None:
            sink.confirmed(self.name, symbol)
        else:
            sink.tick(tick)

    def _due(self, asked: dict[str, float]) -> Iterator[str]:
        """Yield what to poll now, the one that was not asked for the longest time first."""
        if not self._wanted or not self._session_kind.trading(self._now_ms()):
            return
        now = time.monotonic()
        before = now - self._terms.poll_seconds
        candidates = [
            symbol
            for symbol in self._wanted
            if asked.get(symbol, now) <= before or not asked.get(symbol, now)
            if self._heard.get(symbol, 0.0) <= before and self._dead_until.get(symbol, 0.0) <= now
        ]
        if candidates:
            yield min(candidates, key=lambda symbol: asked[symbol])
