"""What the errors of a producer's client mean."""

from unittest.mock import patch

import pytest
from confluent_kafka import KafkaError, KafkaException

from stockpipeline.adapters import kafka_producer
from stockpipeline.adapters.kafka_client import KafkaFatal


def test_a_client_that_takes_no_messages_ends_the_process() -> None:
    with patch.object(kafka_producer, "Producer") as client:
        client.return_value.produce.side_effect = KafkaException(KafkaError(KafkaError._FATAL, "a gap"))
        producer = kafka_producer.KafkaProducer("127.0.0.1:9", "test", "ticks")
        with pytest.raises(KafkaFatal, match=r"takes no messages of ticks.*a gap"):
            producer.send("IBM", b"{}", lambda: True)
