"""Of several answers of Kafka, every bad one is told."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException

from stockpipeline_operator.kafka_topics import KafkaFailure, KafkaUnreachable, await_answers

GONE = KafkaError.UNKNOWN_TOPIC_OR_PART


def answer(error: BaseException | None = None) -> Future[None]:
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def refusal(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def test_what_is_gone_already_is_fine() -> None:
    await_answers("k:9092", [("delete topic", {"a": answer(), "b": answer(refusal(GONE))}, GONE)])


def test_every_bad_answer_is_told() -> None:
    topics = {"a": answer(refusal(KafkaError.TOPIC_AUTHORIZATION_FAILED)), "b": answer()}
    groups = {"g": answer(refusal(KafkaError.NON_EMPTY_GROUP))}
    requests = [("delete group", groups, KafkaError.GROUP_ID_NOT_FOUND), ("delete topic", topics, GONE)]
    with pytest.raises(
        KafkaFailure, match=r"Kafka at k:9092: cannot delete group g: .*; cannot delete topic a: "
    ):
        await_answers("k:9092", requests)


def test_no_answer_is_not_a_refusal() -> None:
    with pytest.raises(KafkaUnreachable, match="does not answer: cannot delete topic a"):
        await_answers("k:9092", [("delete topic", {"a": answer(TimeoutError())}, GONE)])
