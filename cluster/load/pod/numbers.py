"""Reads a pipeline's ticks from the first in their topic to the last, and counts missing and repeated ones.

A replay numbers the ticks of each symbol from 1 on. Prints JSON: {"ticks", "missing", "repeated", "deleted"};
the last are records that Kafka's retention has deleted, of which nothing can be said.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition

_AT_ONCE = 10_000
_PATIENCE = 30.0


class Numbered(msgspec.Struct):
    """What of a tick is looked at."""

    symbol: str
    seq: int


class Numbers:
    """Follows the numbers of each symbol, in the order of the topic."""

    def __init__(self, *, from_the_first: bool) -> None:
        """`from_the_first`: a symbol whose numbers begin later than with 1 lacks what is before."""
        self.ticks = self.missing = self.repeated = 0
        self._from_the_first = from_the_first
        self._last: dict[str, int] = {}

    def take(self, symbol: str, number: int) -> None:
        """Count a tick."""
        self.ticks += 1
        last = self._last.get(symbol, 0 if self._from_the_first else number - 1)
        if number <= last:
            self.repeated += 1
            return
        self.missing += number - last - 1
        self._last[symbol] = number


def main() -> None:
    """Count in the pipeline whose configuration the first argument names."""
    config = json.loads(Path(sys.argv[1]).read_text())
    topic = f"{config['namespace']}.{config['name']}.ticks"
    consumer = Consumer(
        {
            "bootstrap.servers": config["spec"]["kafka"]["bootstrapServers"],
            "group.id": f"{topic}.unused",
            "enable.auto.commit": False,
        }
    )
    partitions = consumer.list_topics(topic, timeout=_PATIENCE).topics[topic].partitions
    ranges = {
        one: consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=_PATIENCE)
        for one in partitions
    }
    deleted = sum(low for low, _ in ranges.values())
    left = sum(high - low for low, high in ranges.values())
    consumer.assign([TopicPartition(topic, one, low) for one, (low, _) in ranges.items()])
    decoder = msgspec.json.Decoder(Numbered)
    numbers = Numbers(from_the_first=deleted == 0)
    while left > 0:
        messages = consumer.consume(_AT_ONCE, _PATIENCE)
        if not messages:
            raise SystemExit(f"{topic}: no message came for {_PATIENCE:g} s, and {left} are left to be read")
        for message in messages:
            if message.error() is None:
                tick = decoder.decode(message.value() or b"")
                numbers.take(tick.symbol, tick.seq)
                left -= 1
    consumer.close()
    found = {"ticks": numbers.ticks, "missing": numbers.missing, "repeated": numbers.repeated}
    print(json.dumps({**found, "deleted": deleted}))


if __name__ == "__main__":
    main()
