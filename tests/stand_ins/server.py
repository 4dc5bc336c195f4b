"""What the stand-ins share: an aiohttp application in a thread of its own, so that a test can drive it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

from aiohttp import web

Result = TypeVar("Result")


async def send(socket: web.WebSocketResponse, text: str | bytes) -> None:
    """Send to a websocket that its client may just have left."""
    with suppress(ConnectionError):
        await (socket.send_bytes(text) if isinstance(text, bytes) else socket.send_str(text))


class StandIn:
    """A server, on loopback unless `host` is set; `with` starts it (in milliseconds) and stops it."""

    host = "127.0.0.1"

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__, daemon=True)

    def application(self) -> web.Application:
        """The routes."""
        raise NotImplementedError

    async def background(self) -> None:
        """What goes on beside requests, until cancelled."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(60)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(60)

    def call(self, make: Callable[[], Awaitable[Result]]) -> Result:
        """Run something in the server's loop and wait for it."""

        async def run() -> Result:
            return await make()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._main())
        finally:
            self.loop.close()

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        runner = web.AppRunner(self.application(), shutdown_timeout=0.2, access_log=None)
        try:
            await runner.setup()
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            server: Any = site._server
            self.port = server.sockets[0].getsockname()[1]
        except BaseException as error:
            self._failure = error
            self._started.set()
            return
        beside = asyncio.create_task(self.background())
        self._started.set()
        await self._stopping.wait()
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
        await runner.cleanup()
