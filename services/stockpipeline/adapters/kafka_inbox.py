"""Messages of a consumer without a Python object for each (``services/native/inbox.c``).

confluent-kafka's extension module is linked to librdkafka; the functions are looked up there, so that both
use the same library and the same client.
"""

import ctypes
from functools import cache

from confluent_kafka import Consumer, KafkaError, Message, cimpl

from stockpipeline_native import Inbox

_FUNCTIONS = (
    "rd_kafka_queue_get_consumer",
    "rd_kafka_queue_get_partition",
    "rd_kafka_queue_forward",
    "rd_kafka_queue_io_event_enable",
    "rd_kafka_queue_destroy",
    "rd_kafka_consume_batch_queue",
    "rd_kafka_message_destroy",
    "rd_kafka_message_timestamp",
    "rd_kafka_topic_name",
    "rd_kafka_message_errstr",
)


def open_inbox(consumer: Consumer, most: int) -> Inbox:
    """Return the queues of the consumer's partitions, from which at most so many messages are taken at once.

    A partition's messages come there from `follow` on, and no more by the consumer's `poll`; calls back go on
    coming by that. Close the inbox before the consumer, which else waits for it forever. The client's bounds
    on what it fetches ahead (``queued.*``) are each partition's then.
    """
    return Inbox(consumer, _addresses(), most, _message)


@cache
def _addresses() -> tuple[int, ...]:
    library = ctypes.CDLL(cimpl.__file__)
    return tuple(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS)


def _message(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    timestamp: tuple[int, int],
    error: int,
    text: str | None,
) -> Message:
    """Return the message as confluent-kafka does, without its headers."""
    return Message(
        topic,
        partition,
        offset,
        key,
        value if text is None else text.encode(),
        timestamp=timestamp,
        error=None if text is None else KafkaError(error, text),
    )
