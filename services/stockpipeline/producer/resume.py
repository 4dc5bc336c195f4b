"""What was sent before: the newest tick of each symbol, from the ticks topic itself.

The topic is the only place that knows for certain, so there is nothing that could disagree with it. This
holds while one producer runs at a time; its Deployment recreates instead of rolling.
"""

from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import Message

from stockpipeline.adapters.kafka_partitioning import partition_of
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import read_tail
from stockpipeline.market.ticks import MalformedTick, decode_tick


def last_numbers(
    reader: TopicReader, symbols: Iterable[str], source: str, keep_waiting: Callable[[], bool]
) -> dict[str, int]:
    """Return the highest number (`seq`) of the source's ticks in the topic, for each symbol that has any.

    Reads back as far as the topic goes when a symbol has none.

    Raises:
        KafkaUnavailable: the topic cannot be read, or `keep_waiting` said no.
    """
    partitions = reader.partitions()
    wanted: dict[int, set[str]] = {partition: set() for partition in partitions}
    for symbol in symbols:
        wanted[partition_of(symbol, len(partitions))].add(symbol)
    numbers: dict[str, int] = {}
    for partition, symbols_there in wanted.items():
        if symbols_there:
            complete = _has_all(symbols_there, source)
            numbers.update(highest_numbers(read_tail(reader, partition, complete, keep_waiting), source))
    return numbers


def highest_numbers(messages: Iterable[Message], source: str) -> dict[str, int]:
    """Return the highest number of the source's ticks in the messages, per symbol; others are passed by."""
    numbers: dict[str, int] = {}
    for message in messages:
        try:
            tick = decode_tick(message.value() or b"")
        except MalformedTick:
            continue
        if tick.source == source and tick.seq is not None:
            numbers[tick.symbol] = max(tick.seq, numbers.get(tick.symbol, 0))
    return numbers


def _has_all(symbols: set[str], source: str) -> Callable[[Sequence[Message]], bool]:
    return lambda messages: symbols <= highest_numbers(messages, source).keys()
