"""What the errors of a transactional producer's client mean."""

import threading
from collections.abc import Callable, Iterator
from unittest.mock import Mock, patch

import pytest
from confluent_kafka import KafkaError, KafkaException

from stockpipeline.adapters import kafka_transactions
from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.adapters.kafka_transactions import TransactionalProducer, TransactionFailed


def _always() -> bool:
    return True


@pytest.fixture
def client() -> Iterator[Mock]:
    with patch.object(kafka_transactions, "Producer") as producer:
        yield producer.return_value


def _producer(clock: Callable[[], float] = lambda: 0.0) -> TransactionalProducer:
    return TransactionalProducer("127.0.0.1:9", "test", "test", clock)


def _failure(code: int, **flags: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "no", **flags))


def test_a_refused_message_of_a_failed_transaction_aborts_it(client: Mock) -> None:
    client.produce.side_effect = _failure(KafkaError._STATE)
    with pytest.raises(TransactionFailed):
        _producer().send("signals", b"{}", "IBM", _always)


def test_a_fatal_error_ends_the_client_whatever_its_code(client: Mock) -> None:
    client.produce.side_effect = _failure(KafkaError._STATE, fatal=True)
    with pytest.raises(KafkaFatal):
        _producer().send("signals", b"{}", "IBM", _always)


def test_a_request_that_is_never_done_although_a_broker_answers_ends_the_client(client: Mock) -> None:
    times = iter(range(0, 1000, 5))
    client.abort_transaction.side_effect = _failure(KafkaError._TIMED_OUT, retriable=True)
    with pytest.raises(KafkaFatal, match="stuck for 60 s"):
        _producer(lambda: next(times)).abort(_always)
    assert client.abort_transaction.call_count > 10


def test_an_outage_may_last_as_long_as_it_takes(client: Mock) -> None:
    producer = _producer(iter(range(0, 100_000, 5)).__next__)
    producer.connection.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    outage = [_failure(KafkaError._TIMED_OUT, retriable=True)] * 1000
    client.abort_transaction.side_effect = [*outage, None]
    producer.abort(_always)
    assert client.abort_transaction.call_count == 1001


def test_a_request_that_never_returns_holds_up_neither_the_heartbeat_nor_the_end(client: Mock) -> None:
    """librdkafka keeps no time while the group's coordinator is down."""
    never = threading.Event()
    client.send_offsets_to_transaction.side_effect = lambda *_: never.wait()
    asked = iter([True, True, False])
    try:
        with pytest.raises(KafkaFatal, match="asked to stop during a transaction: no answer"):
            _producer().commit("ticks", {0: 7}, object(), lambda: next(asked))
        assert client.send_offsets_to_transaction.call_count == 1
        assert not client.commit_transaction.called
    finally:
        never.set()


def test_a_request_that_takes_its_time_is_made_once(client: Mock) -> None:
    answered = threading.Event()
    client.commit_transaction.side_effect = lambda *_: answered.wait()

    def keep_waiting() -> bool:
        answered.set()
        return True

    _producer().commit("ticks", {0: 7}, object(), keep_waiting)
    assert client.commit_transaction.call_count == 1
