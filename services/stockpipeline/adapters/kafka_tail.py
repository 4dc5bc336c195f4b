"""The newest records of a topic, without reading all of it."""

from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import Message

from stockpipeline.adapters.kafka_reader import TopicReader

_FIRST_WINDOW = 1000


def backwards(
    reader: TopicReader, partition: int, keep_waiting: Callable[[], bool]
) -> Iterator[Iterable[Message]]:
    """Yield a partition's messages as windows, the newest window first; oldest first within a window.

    No message is in two windows, and none is kept: take each window's messages before asking for the next
    one, and stop asking when it is enough. Each window looks back twice as far as the one before, because
    nobody knows how far back the wanted message is, nor how many offsets are taken by transaction markers.

    Raises:
        KafkaUnavailable: the partition cannot be read, or `keep_waiting` said no.
    """
    first, end = reader.range(partition)
    window = _FIRST_WINDOW
    while end > first:
        start = max(first, end - window)
        yield reader.read({partition: (start, end)}, keep_waiting)
        end = start
        window *= 2
