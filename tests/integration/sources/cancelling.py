"""Cancels a coroutine at a step of one's choice, deterministically: what a signal does at an unlucky time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any


class Moment(Enum):
    """When, at a step, the cancellation comes."""

    WAITING = "waiting"
    """The coroutine has just begun to wait."""
    WOKEN = "woken"
    """What it waited for is there, and it has not run again: here a cancellation is lost most easily."""


class _CancelledAt(Coroutine[Any, Any, Any]):
    """Runs a coroutine, and cancels its task at the n-th time that it waits."""

    def __init__(self, inner: Coroutine[Any, Any, Any], step: int, moment: Moment) -> None:
        self._inner = inner
        self._left = step
        self._moment = moment
        self.task: asyncio.Task[Any] | None = None
        self.reached = False
        self.abandoned = False

    def send(self, value: Any) -> Any:
        if self.abandoned:
            raise RuntimeError("it did not end when it was cancelled")
        awaited = self._inner.send(value)
        self._left -= 1
        if self._left == 0:
            self.reached = True
            assert self.task is not None
            if self._moment is Moment.WOKEN and isinstance(awaited, asyncio.Future):
                # The task adds its own callback after this one.
                awaited.add_done_callback(lambda _done, task=self.task: task.cancel())
            else:
                asyncio.get_running_loop().call_soon(self.task.cancel)
        return awaited

    def throw(self, *arguments: Any) -> Any:
        return self._inner.throw(*arguments)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        raise TypeError("this is for a task")


def cancel_at(
    make: Callable[[], Coroutine[Any, Any, None]], step: int, moment: Moment, seconds: float = 60.0
) -> bool:
    """Run a coroutine that does not end by itself, cancel it at a step; return whether it ended cancelled.

    ``make`` is called inside of the event loop.
    """

    async def run() -> bool:
        coroutine = _CancelledAt(make(), step, moment)
        task = coroutine.task = asyncio.ensure_future(coroutine)
        await asyncio.wait([task], timeout=seconds)
        coroutine.abandoned = True
        assert coroutine.reached, f"step {step} was not reached"
        return task.cancelled()

    return asyncio.run(run())
