"""One websocket session of an appkey: registrations, trades, heartbeats, and a new connection after each end.

KIS allows one session per appkey and 41 registrations in it. A connection that says nothing for a while is
taken for dead, because KIS sends a heartbeat every few seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import structlog

from stockpipeline.market.ticks import MalformedReason
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.backoff import Backoff
from stockpipeline.sources.kis.frames import TradeDecoder
from stockpipeline.sources.kis.grants import Grant, GrantKind, Grants, NotAsked
from stockpipeline.sources.kis.keys import Registration
from stockpipeline.sources.kis.meanings import Ack, KisError
from stockpipeline.sources.kis.messages import Answer, Heartbeat, read_control, subscribe
from stockpipeline.sources.live import Sink

SILENCE_SECONDS = 45.0
_CONNECT_SECONDS = 10.0
# Registrations in one second that KIS was seen to take without complaint.
_PAUSE_SECONDS = 0.05
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
# A registration that was not answered by then is sent again.
ANSWER_SECONDS = 10.0
# Another owner of the appkey has to let go: asking more often does not help.
_TAKEN_WAIT = 15.0
_log = structlog.get_logger()


class _Ended(Exception):
    """The session is over; the message says why, ``wait`` how long to wait at least."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class KisStream:
    """Keeps the registrations of one appkey alive.

    ``left_over`` is told the registrations that KIS had no room for or refused: somebody else has to follow
    them.
    """

    def __init__(
        self,
        source: str,
        url: str,
        registrations: Sequence[Registration],
        grants: Grants,
        decoder: TradeDecoder,
        http: aiohttp.ClientSession,
        metrics: SourceMetrics,
        left_over: Callable[[Registration], None],
        silence_seconds: float = SILENCE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._url = url
        self._registrations = tuple(registrations)
        self._by_key = {one.key: one for one in registrations}
        self._grants = grants
        self._decoder = decoder
        self._http = http
        self._metrics = metrics
        self._left_over = left_over
        self._silence_seconds = silence_seconds
        self._answer_seconds = answer_seconds
        self._unanswered: set[str] = set()
        self._sleep = sleep
        self._backoff = Backoff(_FIRST_WAIT, _LONGEST_WAIT)
        self.connected = False
        """Whether a session is open and has not been silent for too long."""

    async def run(self, sink: Sink) -> None:
        """Connect, register and read until cancelled."""
        connected_before = False
        while True:
            if connected_before:
                self._metrics.reconnected(self._source)
            wait = 0.0
            try:
                approval = await self._grants.get(GrantKind.APPROVAL)
                connected_before = True
                await self._session(sink, approval)
            except _Ended as error:
                why, wait = str(error), error.wait
            except (KisError, NotAsked) as error:
                why = str(error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why = f"{self._url}: {type(error).__name__}"
            sink.answered(self._source, None)
            wait = max(wait, self._backoff.next_seconds())
            _log.warning("a websocket session ended", source=self._source, why=why, again_in=round(wait, 1))
            await self._sleep(wait)

    async def _session(self, sink: Sink, approval: Grant) -> None:
        """Serve one connection; always ends with an exception."""
        # The client's own timeout, because asyncio.wait_for may lose a cancellation (until Python 3.12).
        timeout = aiohttp.ClientWSTimeout(ws_receive=self._silence_seconds, ws_close=2.0)
        async with asyncio.timeout(_CONNECT_SECONDS):
            socket = await self._http.ws_connect(
                self._url, timeout=timeout, autoping=True, max_msg_size=1 << 20
            )
        registering = asyncio.create_task(self._register(socket, approval))
        self.connected = True
        try:
            while True:
                message = await socket.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(socket, message.data, sink, approval)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    sink.malformed(self._source, MalformedReason.BAD_FIELDS, "a binary frame", message.data)
                else:
                    raise _Ended(f"closed by KIS ({message.type.name.lower()} {message.data or ''})".strip())
        except TimeoutError:
            raise _Ended(f"nothing was heard for {self._silence_seconds:.0f} s") from None
        finally:
            self.connected = False
            registering.cancel()
            await socket.close()

    async def _register(self, socket: aiohttp.ClientWebSocketResponse, approval: Grant) -> None:
        self._unanswered = set(self._by_key)
        while self._unanswered:
            for one in self._registrations:
                if one.key in self._unanswered:
                    await socket.send_str(subscribe(approval.value, one))
                    await self._sleep(_PAUSE_SECONDS)
            await self._sleep(self._answer_seconds)

    async def _take(
        self, socket: aiohttp.ClientWebSocketResponse, text: str, sink: Sink, approval: Grant
    ) -> None:
        if text[:1] in ("0", "1"):
            decoded = self._decoder.decode(text)
            for tick in decoded.ticks:
                sink.tick(tick)
            for refused in decoded.refused:
                sink.malformed(self._source, refused.reason, refused.message, refused.data)
            if decoded.ticks:
                self._backoff.reset()
            return
        control = read_control(text)
        if isinstance(control, Heartbeat):
            # KIS's own sample answers with a pong, a well-used client with the same text.
            await socket.pong(control.text.encode())
            await socket.send_str(control.text)
        elif isinstance(control, Answer):
            self._answered(control, sink, approval)
        else:
            sink.malformed(
                self._source, MalformedReason.BAD_JSON, control.message, text.encode("utf-8", "replace")
            )

    def _answered(self, answer: Answer, sink: Sink, approval: Grant) -> None:
        self._unanswered.discard(answer.key)
        if answer.ack is Ack.REGISTERED:
            sink.answered(self._source, 0.0)
        elif answer.ack is Ack.TAKEN:
            raise _Ended(f"another session uses the appkey ({answer.message})", _TAKEN_WAIT)
        elif answer.ack is Ack.BAD_APPROVAL:
            self._grants.refuse(GrantKind.APPROVAL, approval)
            raise _Ended(f"KIS does not take the approval key ({answer.message})")
        elif answer.ack in (Ack.FULL, Ack.FAILED):
            refused = self._by_key.get(answer.key)
            if refused is None:
                raise _Ended(f"a registration was refused ({answer.message})")
            _log.warning(
                "a registration was refused", source=self._source, key=answer.key, why=answer.message
            )
            self._left_over(refused)
