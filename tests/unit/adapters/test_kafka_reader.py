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
