"""Messages that come without Python, on a real broker, next to those of confluent-kafka itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from stockpipeline.adapters.kafka_inbox import open_inbox
from stockpipeline_native import Inbox, Messages
from tests.integration.services.support import create_topic, eventually, produce, read_all

PARTITIONS = 2


@pytest.fixture
def topic(kafka: str, request: pytest.FixtureRequest) -> str:
    name = f"inbox-{request.node.name}"
    create_topic(kafka, NewTopic(name, PARTITIONS, 1))
    return name


@pytest.fixture
def consumer(kafka: str) -> Iterator[Consumer]:
    client = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "inbox",
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
        }
    )
    yield client
    client.close()


@pytest.fixture
def opened(consumer: Consumer) -> Iterator[Callable[[int], Inbox]]:
    inboxes: list[Inbox] = []

    def open_one(most: int) -> Inbox:
        inboxes.append(open_inbox(consumer, most))
        return inboxes[-1]

    yield open_one
    for inbox in inboxes:
        inbox.close()


def read(consumer: Consumer, inbox: Inbox, count: int) -> list[Message]:
    found: list[Message] = []

    def enough() -> bool:
        assert consumer.poll(0) is None, "messages come to the inbox alone"
        messages = inbox.take(0.1)
        found.extend(messages)
        newest = {one.partition(): one.offset() for one in messages if one.error() is None}
        assert messages.positions() == {partition: (at or 0) + 1 for partition, at in newest.items()}
        return len(found) >= count

    eventually(enough, f"{count} messages are read")
    return found


def everything(message: Message) -> tuple[object, ...]:
    return (
        message.topic(), message.partition(), message.offset(), message.key(), message.value(),
        message.timestamp(), message.error(),
    )  # fmt: skip


def test_a_message_is_what_confluent_kafka_makes_of_it(
    kafka: str, topic: str, consumer: Consumer, opened: Callable[[int], Inbox]
) -> None:
    values = [b"plain", b"", None, b"\x00\xff", b"x" * 100_000]
    for partition in range(PARTITIONS):
        produce(
            kafka, topic, *[(key, value) for key in ("key", None) for value in values], partition=partition
        )
    inbox = opened(7)
    for partition in range(PARTITIONS):
        inbox.follow(topic, partition)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    expected = read_all(kafka, topic)
    assert len(expected) == 2 * len(values) * PARTITIONS
    found = read(consumer, inbox, len(expected))
    assert sorted(map(everything, found), key=str) == sorted(map(everything, expected), key=str)
    assert {place.offset for place in consumer.position(consumer.assignment())} == {2 * len(values)}


def test_at_most_so_many_are_taken_and_any_can_be_asked_for(
    kafka: str, topic: str, consumer: Consumer, opened: Callable[[int], Inbox]
) -> None:
    produce(kafka, topic, *[(None, b"%d" % number) for number in range(10)], partition=0)
    inbox = opened(4)
    inbox.follow(topic, 0)
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes | None] = []
    sizes: list[int] = []

    def took() -> bool:
        messages = inbox.take(0.1)
        sizes.append(len(messages))
        values.extend(message.value() for message in messages)
        if len(messages) == 4:
            assert messages[-1].value() == values[-1]
            with pytest.raises(IndexError):
                messages[4]
        return len(values) == 10

    eventually(took, "all are taken")
    assert values == [b"%d" % number for number in range(10)]
    assert max(sizes) == 4


def test_messages_are_good_until_the_next_are_taken(kafka: str, topic: str) -> None:
    produce(kafka, topic, ("key", b"first"), partition=0)
    client = Consumer({"bootstrap.servers": kafka, "group.id": "inbox"})
    inbox = open_inbox(client, most=10)
    inbox.follow(topic, 0)
    client.assign([TopicPartition(topic, 0, 0)])
    taken: list[Messages] = []

    def took() -> bool:
        taken.append(inbox.take(0.1))
        return len(taken[-1]) > 0

    eventually(took, "the message is read")
    first = taken[-1][0]
    produce(kafka, topic, ("key", b"second"), partition=0)
    eventually(took, "the next message is read")
    assert [len(messages) for messages in taken[:-1]] == [0] * (len(taken) - 1)
    assert [one.value() for one in (first, *taken[-1])] == [b"first", b"second"]
    inbox.close()
    assert len(taken[-1]) == 0
    with pytest.raises(ValueError, match="closed"):
        inbox.take(0.1)
    client.close()


def test_an_error_is_told_in_its_place(
    kafka: str, topic: str, consumer: Consumer, opened: Callable[[int], Inbox]
) -> None:
    produce(kafka, topic, (None, b"only one"), partition=0)
    inbox = opened(10)
    inbox.follow(topic, 0)
    consumer.assign([TopicPartition(topic, 0, 1000)])
    (found,) = read(consumer, inbox, 1)
    error = found.error()
    assert error is not None
    assert error.code() == KafkaError._AUTO_OFFSET_RESET
    assert not error.fatal()
    assert "out of range" in error.str()
    assert error.str() == (found.value() or b"").decode()


def test_only_a_consumer_has_an_inbox() -> None:
    with pytest.raises(ValueError, match="not a consumer"):
        open_inbox(object(), most=10)  # type: ignore[arg-type]
