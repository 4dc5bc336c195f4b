"""Coroutines that run beside each other under keys; which ones can change while they run."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Hashable
from typing import Any, Generic, TypeVar

import structlog

# What one may take to close its connections, before others go on without waiting for it.
_STOP_SECONDS = 5.0
_log = structlog.get_logger()
Key = TypeVar("Key", bound=Hashable)


class Sections(Generic[Key]):
    """Runs what ``start`` makes of each key.

    A coroutine that fails ends all of them, as in a task group.
    """

    def __init__(self, start: Callable[[Key], Coroutine[Any, Any, None]], keys: Collection[Key] = ()) -> None:
        self._start = start
        self._keys = set(keys)
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[Key, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for key in self._keys:
                self._running[key] = group.create_task(self._start(key))
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None
                self._running.clear()

    async def keep(self, keys: Collection[Key]) -> None:
        """Let these run and no others; return when the others have ended."""
        self._keys = set(keys)
        if self._group is None:
            return
        gone = [self._running.pop(key) for key in self._running.keys() - self._keys]
        for task in gone:
            task.cancel()
        if gone:
            _ended, late = await asyncio.wait(gone, timeout=_STOP_SECONDS)
            if late:
                _log.warning("connections do not end", tasks=len(late), seconds=_STOP_SECONDS)
        for key in self._keys - self._running.keys():
            self._running[key] = self._group.create_task(self._start(key))
