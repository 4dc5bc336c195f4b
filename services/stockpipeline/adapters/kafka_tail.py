"""The newest records of a topic, without reading all of it."""

from collections.abc import Callable, Sequence

from confluent_kafka import Message

from stockpipeline.adapters.kafka_reader import TopicReader

_FIRST_WINDOW = 1000


def read_tail(
    reader: TopicReader,
    partition: int,
    enough: Callable[[Sequence[Message]], bool],
    keep_waiting: Callable[[], bool],
) -> list[Message]:
    """Return the newest messages of a partition, oldest first: so many that they are `enough`, or all.

    Looks back twice as far each time, because nobody knows how far back the wanted message is, nor how many
    offsets are taken by transaction markers.

    Raises:
        KafkaUnavailable: the partition cannot be read, or `keep_waiting` said no.
    """
    first, end = reader.range(partition)
    window = _FIRST_WINDOW
    while True:
        start = max(first, end - window)
        messages = list(reader.read({partition: (start, end)}, keep_waiting))
        if start == first or enough(messages):
            return messages
        window *= 2
