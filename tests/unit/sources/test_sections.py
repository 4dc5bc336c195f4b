"""Coroutines under keys: which ones run follows the keys, and those that go have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stockpipeline.sources.sections import Sections


async def _with(sections: Sections[str], then: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.create_task(sections.run())
    await asyncio.sleep(0.01)
    try:
        await then()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_keys_come_and_go_and_those_that_stay_are_not_interrupted() -> None:
    events: list[str] = []

    async def section(key: str) -> None:
        events.append(f"{key} begins")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append(f"{key} ended")

    async def change() -> None:
        await sections.keep(["b", "c"])
        await asyncio.sleep(0.01)
        assert sorted(events[:2]) == ["a begins", "b begins"]
        assert events[2:] == ["a ended", "c begins"]

    sections = Sections(section, ["a", "b"])
    asyncio.run(_with(sections, change))
    assert sorted(events[4:]) == ["b ended", "c ended"]


def test_before_it_runs_the_keys_are_only_kept() -> None:
    begun: list[str] = []

    async def section(key: str) -> None:
        begun.append(key)
        await asyncio.Event().wait()

    async def run() -> None:
        sections = Sections(section, ["a"])
        await sections.keep([])

        async def add() -> None:
            await sections.keep(["b"])
            await asyncio.sleep(0)

        await _with(sections, add)

    asyncio.run(run())
    assert begun == ["b"]


def test_one_that_fails_ends_all() -> None:
    async def section(key: str) -> None:
        if key == "bad":
            raise OSError("broken")
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup):
        asyncio.run(Sections(section, ["good", "bad"]).run())
