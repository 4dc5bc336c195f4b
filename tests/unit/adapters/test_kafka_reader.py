"""What a reader makes of messages that are none."""

from unittest.mock import Mock, patch

import pytest
from confluent_kafka import KafkaError, Message

from stockpipeline.adapters import kafka_reader
from stockpipeline.adapters.kafka_client import KafkaUnavailable


def test_an_error_of_no_partition_is_told_as_it_is() -> None:
    error = Message("ticks", error=KafkaError(KafkaError._ALL_BROKERS_DOWN, "brokers are down"))
    with (
        patch.object(kafka_reader, "Consumer", Mock()),
        patch.object(kafka_reader, "drain", lambda _consumer, _seconds: [error]),
    ):
        reader = kafka_reader.TopicReader("127.0.0.1:9", "test", "ticks")
        with pytest.raises(KafkaUnavailable, match="brokers are down"):
            list(reader.read({0: (0, 1)}, lambda: True))


def test_the_caller_is_asked_also_while_messages_come() -> None:
    messages = [[Message("ticks", 0, offset, None, b"x")] for offset in range(3)]
    asked: list[int] = []

    def keep_waiting() -> bool:
        asked.append(1)
        return True

    with (
        patch.object(kafka_reader, "Consumer", Mock()),
        patch.object(kafka_reader, "drain", Mock(side_effect=messages)),
    ):
        reader = kafka_reader.TopicReader("127.0.0.1:9", "test", "ticks")
        assert len(list(reader.read({0: (0, 3)}, keep_waiting))) == 3
    assert len(asked) == 3
