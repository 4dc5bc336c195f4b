"""Yahoo's stream of quotes: connected anew after each end, and after silence while there may be trades."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.backoff import Backoff
from stockpipeline.sources.live import Sink
from stockpipeline.sources.session_kind import SessionKind
from stockpipeline.sources.yahoo import clients

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 120.0
_log = structlog.get_logger()


class YahooStream:
    """Brings the messages of one connection after the other to ``take``, which says whether one was of use.

    ``url`` None is Yahoo's own; ``names`` are symbols as Yahoo writes them.
    """

    def __init__(
        self,
        source: str,
        url: str | None,
        names: Sequence[str],
        take: Callable[[str | bytes, Sink], bool],
        session_kind: SessionKind,
        metrics: SourceMetrics,
        silence_seconds: float,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._url = url or clients.STREAM_URL
        self._names = tuple(names)
        self._take = take
        self._session_kind = session_kind
        self._metrics = metrics
        self._silence_seconds = silence_seconds
        self._now_ms = now_ms
        self._sleep = sleep
        self._backoff = Backoff(_FIRST_WAIT, _LONGEST_WAIT)

    async def run(self, sink: Sink) -> None:
        """Connect, subscribe and read until cancelled."""
        while True:
            failed, why = await self._connection(sink)
            if failed:
                sink.answered(self._source, None)
            wait = self._backoff.next_seconds()
            _log.warning(
                "the stream ended", source=self._source, url=self._url, why=why, again_in=round(wait, 1)
            )
            await self._sleep(wait)
            self._metrics.reconnected(self._source)

    async def _connection(self, sink: Sink) -> tuple[bool, str]:
        """Serve one connection; return whether its end is a failure, and what it was."""
        messages = clients.stream(self._url, self._names)
        try:
            while True:
                # Not asyncio.wait_for, which may lose a cancellation (until Python 3.12).
                async with asyncio.timeout(self._silence_seconds):
                    message = await anext(messages)
                if self._take(message, sink):
                    self._backoff.reset()
        except StopAsyncIteration:
            return True, "it was closed"
        except TimeoutError:
            why = f"nothing was heard for {self._silence_seconds:.0f} s"
            return self._session_kind.trading(self._now_ms()), why
        except Exception as error:  # yfinance lets those of its websocket library through
            return True, type(error).__name__
        finally:
            await messages.aclose()
