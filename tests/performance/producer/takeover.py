"""How long the symbols of a killed producer are with nobody."""

from __future__ import annotations

import time
from pathlib import Path

from stockpipeline.api import Topic
from tests.integration.services.support import SYMBOLS, Service, create_topics, eventually, pipeline, service


def takeover_seconds(bootstrap: str, redis: str, folder: Path) -> float:
    """Return the seconds from killing one of three producers until the others send all symbols."""
    config = pipeline("bench-takeover", bootstrap, redis, replay={"speed": 1})
    create_topics(config, Topic.TICKS, Topic.STATE)
    producers: list[Service] = []
    try:
        for number in range(3):
            own = folder / f"producer-{number}"
            own.mkdir()
            instance = {"STOCKPIPELINE_INSTANCE": own.name}
            producers.append(service("producer", config, own, instance, ["--shared"]))
            producers[-1].process.start()
        eventually(lambda: _owned(producers) == len(SYMBOLS), "the symbols are shared")
        victim = max(producers, key=lambda one: _owned([one]))
        producers.remove(victim)
        victim.process.kill()
        began = time.monotonic()
        eventually(lambda: _owned(producers) == len(SYMBOLS), "the others have all symbols")
        return time.monotonic() - began
    finally:
        for one in producers:
            one.process.kill()


def _owned(producers: list[Service]) -> float:
    return sum(one.metric("stockpipeline_producer_owned_symbols") for one in producers)
