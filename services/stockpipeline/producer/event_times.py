"""The event time of the newest tick of each symbol in the topic, so that a restart goes on from there.

Reads back for some minutes only: what a source could still bring is not older.
"""

from collections.abc import Callable, Iterable

from confluent_kafka import Message

from stockpipeline.adapters.kafka_partitioning import partition_of
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import backwards
from stockpipeline.market.ticks import MalformedTick, decode_tick

_BACK_MS = 600_000


def newest_event_times(
    reader: TopicReader, symbols: set[str], now_ms: int, keep_waiting: Callable[[], bool]
) -> dict[str, int]:
    """Return the newest event time (epoch ms) of each symbol that had a tick in the last minutes.

    Raises:
        KafkaUnavailable: the topic cannot be read, or `keep_waiting` said no.
    """
    newest: dict[str, int] = {}
    partitions = reader.partitions()
    for partition in partitions:
        there = {symbol for symbol in symbols if partition_of(symbol, len(partitions)) == partition}
        if not there:
            continue
        for window in backwards(reader, partition, keep_waiting):
            first = _take(window, there, newest)
            # Event times of a symbol never go back: what is before its newest tick is older.
            if there <= newest.keys() or first < now_ms - _BACK_MS:
                break
    return newest


def _take(window: Iterable[Message], symbols: set[str], newest: dict[str, int]) -> int:
    """Note the times in a window; return when its first message came to Kafka."""
    first: int | None = None
    for message in window:
        if first is None:
            first = message.timestamp()[1]
        if (message.key() or b"").decode("utf-8", "replace") not in symbols:
            continue
        try:
            tick = decode_tick(message.value() or b"")
        except MalformedTick:
            continue
        newest[tick.symbol] = max(tick.ts, newest.get(tick.symbol, 0))
    return first or 0
