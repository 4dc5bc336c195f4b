"""The Kafka adapters on a real broker."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from structlog.testing import capture_logs

from stockpipeline.adapters.dead_letter import dead_letter
from stockpipeline.adapters.kafka_client import KafkaFatal, KafkaUnavailable
from stockpipeline.adapters.kafka_consumer import HEARTBEAT_SECONDS, SESSION_SECONDS, GroupConsumer
from stockpipeline.adapters.kafka_partitioning import partition_of
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import backwards
from stockpipeline.adapters.kafka_topics import TopicCatalog, wait_for_topics
from stockpipeline.adapters.kafka_transactions import TransactionalProducer, TransactionFailed
from stockpipeline.runtime.health import Readiness
from tests.integration.servers.kafka import running_broker
from tests.integration.services.support import create_topic, eventually, produce, read_all
from tests.ports import free_port


def always() -> bool:
    return True


@pytest.fixture
def topic(kafka: str, request: pytest.FixtureRequest) -> str:
    name = f"adapters-{request.node.name.replace('[', '-').strip(']')}"
    create_topic(kafka, NewTopic(name, 3, 1))
    return name


@pytest.fixture
def transactions(kafka: str, request: pytest.FixtureRequest) -> TransactionalProducer:
    producer = TransactionalProducer(kafka, "test", f"test-{request.node.name}")
    producer.init(always)
    return producer


def _values(messages: list[Message]) -> list[bytes | None]:
    return [message.value() for message in messages]


def test_keys_go_where_the_partitioner_says(kafka: str, topic: str) -> None:
    producer = KafkaProducer(kafka, "test", topic)
    keys = [f"SYMBOL{number}" for number in range(200)]
    for key in keys:
        assert producer.send(key, key.encode(), always)
    assert producer.flush(20) == 0
    found = {(message.value() or b"").decode(): message.partition() for message in read_all(kafka, topic)}
    assert found == {key: partition_of(key, 3) for key in keys}


def test_a_full_queue_makes_the_sender_wait_and_can_be_left() -> None:
    producer = KafkaProducer(f"127.0.0.1:{free_port()}", "test", "nowhere")
    sent = 0
    asked = threading.Event()

    def stop() -> bool:
        asked.set()
        return False

    while producer.send("key", bytes(1000), stop):
        sent += 1
    assert asked.is_set()
    assert len(producer) == sent > 1000
    assert producer.flush(0.1) == sent


def test_waiting_for_topics_names_what_is_missing(kafka: str, topic: str) -> None:
    readiness = Readiness(["kafka"])
    seen: list[str | None] = []

    def wait(_seconds: float) -> bool:
        seen.append(readiness.reasons()["kafka"])
        if len(seen) == 1:
            create_topic(kafka, NewTopic(f"{topic}-late", 3, 1))
        return len(seen) > 20

    partitions = wait_for_topics(TopicCatalog(kafka, "test"), [topic, f"{topic}-late"], readiness, wait)
    assert partitions == 3
    assert f"there is no topic {topic}-late" in (seen[0] or "")
    assert readiness.ready


def test_waiting_for_a_broker_names_its_address() -> None:
    address = f"127.0.0.1:{free_port()}"
    readiness = Readiness(["kafka"])
    assert wait_for_topics(TopicCatalog(address, "test"), ["any"], readiness, lambda _seconds: True) is None
    assert f"Kafka at {address} cannot be reached" in (readiness.reasons()["kafka"] or "")


def test_the_tail_is_found_behind_many_other_records(kafka: str, topic: str) -> None:
    newer = [("new", b"%d" % number) for number in range(5000)]
    produce(kafka, topic, ("old", b"wanted"), *newer, partition=1)
    reader = TopicReader(kafka, "test", topic)
    try:
        windows = [_values(list(window)) for window in backwards(reader, 1, always)]
        assert [len(window) for window in windows] == [1000, 2000, 2001]
        assert [value for window in reversed(windows) for value in window] == [
            b"wanted",
            *[value for _, value in newer],
        ]
        assert list(backwards(reader, 2, always)) == []
    finally:
        reader.close()


def test_what_is_aborted_is_never_read(kafka: str, topic: str, transactions: TransactionalProducer) -> None:
    for value, good in ((b"first", True), (b"aborted", False), (b"second", True)):
        transactions.begin()
        transactions.send(topic, value, "key", always, partition=0)
        if good:
            transactions.commit(topic, {}, _group(kafka, topic).group_metadata(), always)
        else:
            transactions.abort(always)
    reader = TopicReader(kafka, "test", topic)
    try:
        assert _values(list(reader.read({0: reader.range(0)}, always))) == [b"first", b"second"]
    finally:
        reader.close()


def test_a_transaction_can_be_aborted_while_the_one_before_it_still_ends(
    kafka: str, topic: str, transactions: TransactionalProducer
) -> None:
    group = _group(kafka, topic).group_metadata()
    for milliseconds in range(20):
        transactions.begin()
        transactions.send(topic, b"good", "key", always, partition=0)
        transactions.commit(topic, {}, group, always)
        transactions.begin()
        transactions.send(topic, b"aborted", "key", always, partition=0)
        # An abort before the client has asked to register the partition, some time later, is harmless.
        time.sleep(milliseconds / 1000)
        transactions.abort(always)
    reader = TopicReader(kafka, "test", topic)
    try:
        assert _values(list(reader.read({0: reader.range(0)}, always))) == [b"good"] * 20
    finally:
        reader.close()


def test_a_reader_waits_for_an_open_transaction(
    kafka: str, topic: str, transactions: TransactionalProducer
) -> None:
    produce(kafka, topic, ("key", b"before"), partition=0)
    transactions.begin()
    transactions.send(topic, b"inside", "key", always, partition=0)
    reader = TopicReader(kafka, "test", topic)
    eventually(lambda: reader.range(0)[1] == 2, "the uncommitted record is in the log")
    waited = threading.Event()
    done = threading.Event()

    def commit() -> None:
        assert waited.wait(20)
        transactions.commit(topic, {}, _group(kafka, topic).group_metadata(), always)
        done.set()

    committer = threading.Thread(target=commit)
    committer.start()

    def keep_waiting() -> bool:
        waited.set()
        return True

    try:
        assert _values(list(reader.read({0: reader.range(0)}, keep_waiting))) == [b"before", b"inside"]
        assert waited.is_set()
    finally:
        committer.join()
        reader.close()
    assert done.is_set()


def test_a_reader_gives_up_when_told(kafka: str, topic: str, transactions: TransactionalProducer) -> None:
    transactions.begin()
    transactions.send(topic, b"inside", "key", always, partition=0)
    reader = TopicReader(kafka, "test", topic)
    eventually(lambda: reader.range(0)[1] == 1, "the uncommitted record is in the log")
    with pytest.raises(KafkaUnavailable, match="gave up reading"):
        list(reader.read({0: reader.range(0)}, lambda: False))
    reader.close()
    transactions.abort(always)


def test_a_newer_client_fences_the_older_one(kafka: str, topic: str) -> None:
    older = TransactionalProducer(kafka, "test", "test-fenced")
    older.init(always)
    older.begin()
    older.send(topic, b"from the older", "key", always, partition=0)
    newer = TransactionalProducer(kafka, "test", "test-fenced")
    newer.init(always)
    with pytest.raises(KafkaFatal, match=r"FENCED|EPOCH"):
        older.commit(topic, {0: 1}, _group(kafka, topic).group_metadata(), always)
    assert read_all(kafka, topic) == []


def test_a_member_reads_only_what_it_began_and_from_where_it_was_told(
    kafka: str, topic: str, transactions: TransactionalProducer
) -> None:
    for partition in range(3):
        produce(kafka, topic, *[("key", b"%d/%d" % (partition, n)) for n in range(3)], partition=partition)
    consumer = GroupConsumer(kafka, "test", f"{topic}-group", topic, 3)
    assigned: list[int] = []
    consumer.subscribe(assigned.extend, lambda _lost: None, lambda _lost: None)
    read: list[Message] = []
    positions: dict[int, int] = {}

    def drained(count: int) -> bool:
        messages = consumer.drain(0.1)
        read.extend(messages)
        positions.update(messages.positions())
        return len(read) >= count

    eventually(lambda: drained(0) and len(assigned) == 3, "partitions are assigned")
    assert consumer.committed([0, 1, 2]) == {0: None, 1: None, 2: None}
    assert consumer.watermarks(1) == (0, 3)
    assert read == []
    consumer.begin(1, 0)
    eventually(lambda: drained(3), "the partition is read")
    assert _values(read) == [b"1/0", b"1/1", b"1/2"]
    assert positions == {1: 3}
    assert consumer.known_end(1) == 3

    transactions.begin()
    transactions.commit(topic, {1: 2}, consumer.group_metadata(), always)
    assert consumer.committed([0, 1, 2]) == {0: None, 1: 2, 2: None}

    read.clear()
    consumer.halt([0, 1, 2])
    assert drained(0)
    assert read == [], "a halted partition is paused"
    for partition, offset in {0: 0, 1: 1, 2: 3}.items():
        consumer.begin(partition, offset)
    eventually(lambda: drained(5), "everything after the given offsets is read, whatever is committed")
    assert sorted(_values(read), key=str) == [b"0/0", b"0/1", b"0/2", b"1/1", b"1/2"]
    assert positions == {0: 3, 1: 3}
    consumer.close()


def test_who_comes_again_under_a_name_has_its_partitions_and_leaves_at_once(kafka: str, topic: str) -> None:
    def members() -> set[str]:
        described = admin.describe_consumer_groups([f"{topic}-group"])[f"{topic}-group"].result()
        return {member.group_instance_id for member in described.members}

    def member(name: str) -> tuple[GroupConsumer, list[int], list[list[int]]]:
        consumer = GroupConsumer(kafka, name, f"{topic}-group", topic, 3)
        owned: list[int] = []
        calls: list[list[int]] = []

        def assigned(partitions: list[int]) -> None:
            calls.append(partitions)
            owned.extend(partitions)

        def revoked(partitions: list[int]) -> None:
            calls.append(partitions)
            owned[:] = [partition for partition in owned if partition not in partitions]

        consumer.subscribe(assigned, revoked, revoked)
        return consumer, owned, calls

    admin = AdminClient({"bootstrap.servers": kafka})
    (first, of_first, _), (other, of_other, calls) = member("first"), member("other")

    def shared() -> bool:
        first.drain(0.1)
        other.drain(0.1)
        return bool(of_first) and bool(of_other) and sorted(of_first + of_other) == [0, 1, 2]

    eventually(shared, "both have partitions")
    before = [*calls]
    again, of_again, _ = member("first")

    def has_them() -> bool:
        again.drain(0.1)
        other.drain(0.1)
        return sorted(of_again) == sorted(of_first)

    eventually(has_them, "it has the same partitions again")
    with pytest.raises(KafkaFatal, match="fenced"):
        eventually(lambda: bool(first.drain(0.1)), "the former one ends")
    assert calls == before, "the other member was not disturbed"
    assert members() == {"first", "other"}

    again.close()
    assert members() == {"other"}
    assert of_again == []
    eventually(lambda: not other.drain(0.1) and sorted(of_other) == [0, 1, 2], "the other one has all")
    other.close()
    assert members() == set()


def test_a_member_that_fenced_itself_after_an_outage_joins_anew(tmp_path: Path) -> None:
    owned: list[int] = []
    with running_broker(tmp_path) as broker:
        create_topic(broker.bootstrap, NewTopic("ticks", 3, 1))
        consumer = GroupConsumer(broker.bootstrap, "member", "group", "ticks", 3)

        def assigned(partitions: list[int]) -> None:
            owned.extend(partitions)
            for partition in partitions:
                consumer.begin(partition, 0)

        def lost(partitions: list[int]) -> None:
            owned[:] = [partition for partition in owned if partition not in partitions]

        consumer.subscribe(assigned, lost, lost)
        eventually(lambda: not consumer.drain(0.1) and owned == [0, 1, 2], "it has all partitions")
        broker.kill()
        # Its owner does not call it meanwhile, as while a commit waits for the broker.
        time.sleep(SESSION_SECONDS + 1)
        broker.start()
        time.sleep(3 * HEARTBEAT_SECONDS)
        with capture_logs() as logs:
            eventually(lambda: not consumer.drain(0.1) and not owned, "it has lost them")
            eventually(lambda: not consumer.drain(0.1) and owned == [0, 1, 2], "it has them again")
        assert "joining the group anew" in [log["event"] for log in logs]
        produce(broker.bootstrap, "ticks", ("key", b"tick"))
        eventually(lambda: _values([*consumer.drain(0.1)]) == [b"tick"], "it reads")
        consumer.close()


def test_a_member_that_is_not_in_the_group_cannot_commit(
    kafka: str, topic: str, transactions: TransactionalProducer
) -> None:
    consumer = GroupConsumer(kafka, "test", f"{topic}-group", topic, 3)
    assigned: list[int] = []
    consumer.subscribe(assigned.extend, lambda _lost: None, lambda _lost: None)
    eventually(lambda: not consumer.drain(0.1) and len(assigned) == 3, "partitions are assigned")
    stale = consumer.group_metadata()
    consumer.close()
    transactions.begin()
    transactions.send(topic, b"from a former member", "key", always, partition=0)
    with pytest.raises(TransactionFailed):
        transactions.commit(topic, {0: 1}, stale, always)
    transactions.abort(always)
    assert read_all(kafka, topic) == []


def test_a_dead_letter_keeps_the_bytes_and_tells_where_they_came_from(
    kafka: str, topic: str, transactions: TransactionalProducer
) -> None:
    produce(kafka, topic, (None, b"\xff\x00 not JSON"), partition=2)
    (original,) = read_all(kafka, topic)
    letter = dead_letter(original, "bad-json", "not JSON: invalid UTF-8")
    transactions.begin()
    transactions.send(topic, letter.value, letter.key, always, partition=0, headers=letter.headers)
    transactions.commit(topic, {}, _group(kafka, topic).group_metadata(), always)
    copy = read_all(kafka, topic)[0]
    assert (copy.key(), copy.value()) == (None, b"\xff\x00 not JSON")
    assert dict(copy.headers() or []) == {
        "reason": b"bad-json",
        "message": b"not JSON: invalid UTF-8",
        "topic": topic.encode(),
        "partition": b"2",
        "offset": b"0",
    }


def _group(kafka: str, topic: str) -> GroupConsumer:
    return GroupConsumer(kafka, "test", f"{topic}-offsets", topic, 3)
